# Messages of the "client" service: a federated server and the nodes on which clients train.
# Add fields at the end, never renumber.
@0xd0b7c19e5a3f4826;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("starling::federated::wire");

struct ClientJob {
  experiment @0 :Text;    # the experiment file, resolved
  run @1 :UInt64;         # tells the kept states of one run from another's
  firstTask @2 :UInt64;   # kept states of this task and later ones belong to a life that is over
  node @3 :UInt32;        # this node among
  nodes @4 :UInt32;       # so many
  values @5 :UInt64;      # of the model
}

struct ClientReady {
  threads @0 :UInt32;     # tasks that are trained side by side
  ownExamples @1 :UInt64; # of the node's own data; 0: it holds a part of everybody's
}

# Followed by data frames: the model, unless it is the one of the task before, then the control variate likewise. Where
# norms stay home, the model is its other values alone, here and in the reply.
struct Task {
  task @0 :UInt64;
  client @1 :UInt64;
  round @2 :UInt64;
  proximal @3 :Float64;
  controlVariates @4 :Bool;
  lossAtStart @5 :Bool;
  normsStayHome @6 :Bool;
  model @7 :Bool;         # data frames follow
  more @8 :Bool;          # another task follows before an answer is expected
}

# Followed by data frames: the model, then the change of the control variate.
struct Reply {
  task @0 :UInt64;
  client @1 :UInt64;
  steps @2 :UInt64;
  examples @3 :Float64;
  normaliser @4 :Float64;
  loss @5 :Float64;
  lossAtStart @6 :Float64;
  values @7 :UInt64;
  controlValues @8 :UInt64;
  stateful @9 :Bool;      # the client waits for a verdict
  failure @10 :Text;      # not empty: there are no values
}

struct Verdict {
  task @0 :UInt64;
  client @1 :UInt64;
  counts @2 :Bool;
}

struct Settle {
  oldest @0 :UInt64;      # no task below this number will be asked for again
}

struct ClientReport {
  tasks @0 :UInt64;
  peakRssBytes @1 :UInt64;
  bytesSent @2 :UInt64;
  bytesReceived @3 :UInt64;
  trainMs @4 :Float64;
}
