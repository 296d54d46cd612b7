# Control payloads of the wire (see frame.h for the framing). Add fields at the end, never renumber.
@0xd3f1a07c5be94a21;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("starling::comm::wire");

# First frame of a connection, both ways.
struct Hello {
  role @0 :Role;
  rank @1 :UInt32;        # the sender's rank
  yourRank @2 :UInt32;    # the rank the receiver has (or will have) in this session
  size @3 :UInt32;        # ranks of the session
  node @4 :NodeInfo;
  enum Role { master @0; peer @1; node @2; }
}

# What a device tells about itself.
struct NodeInfo {
  name @0 :Text;
  threads @1 :UInt32;
  memoryBytes @2 :UInt64;   # budget for jobs
  simd @3 :Text;            # instruction-set level its kernels use
  version @4 :Text;
}

struct Refuse {
  reason @0 :Text;
}

struct Abort {
  kind @0 :UInt16;    # core::Kind
  reason @1 :Text;
}

# Rank 0 to each worker: where that worker reaches the ranks below it (1 .. its own - 1).
struct Peers {
  addresses @0 :List(Text);   # [0] is the address of rank 1
}

struct Linked {
  unreachable @0 :List(UInt32);   # ranks that could not be connected
  reasons @1 :List(Text);
}

struct Job {
  service @0 :Text;     # "shard", "probe", ...
  settings @1 :Data;    # the service's own message
}
