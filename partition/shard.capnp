# Messages of the "shard" service: one rank's slice of a model. None of them carries tokens, text or logits.
# Add fields at the end, never renumber.
@0xb81f6f5d02c4e7a9;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("starling::partition::wire");

# The block's shape; what only the master needs (vocabulary, tokenizer) is not in it.
struct Shape {
  width @0 :UInt32;
  layers @1 :UInt32;
  heads @2 :UInt32;
  kvHeads @3 :UInt32;
  headSize @4 :UInt32;
  ffn @5 :UInt32;
  normEpsilon @6 :Float32;
  ropeBase @7 :Float32;
  unused8 @8 :List(Float32);
  divisors @9 :List(Float64);       # of the rotary frequencies; empty: none
  windows @10 :List(UInt32);        # of each layer, 0: sees all; empty: all do
  ropeMagnitude @11 :Float64 = 1;
  rotated @12 :UInt32;              # dimensions of a head; 0: all
  halves @13 :Bool;                 # rotary pairs are p and p + half, not 2p and 2p + 1
  windowRopeBase @14 :Float32;
  attentionScale @15 :Float32;
  attentionCap @16 :Float32;
  gelu @17 :Bool;
  qkNorm @18 :Bool;
  postNorms @19 :Bool;
  qkvBias @20 :Bool;
  outputBias @21 :Bool;
  ffnBias @22 :Bool;
  experts @23 :UInt32;
  expertsUsed @24 :UInt32;
  expertsNormalised @25 :Bool;
  sharedFfn @26 :UInt32;
}

struct Slice {
  kvBegin @0 :UInt32;
  kvEnd @1 :UInt32;
  ffnBegin @2 :UInt32;
  ffnEnd @3 :UInt32;
}

struct ShardJob {
  shape @0 :Shape;
  slice @1 :Slice;
  exactSum @2 :Bool;
  kvType @3 :UInt32;
  positions @4 :UInt32;
  rowsMax @5 :UInt32;       # rows of one step at most, of all its sequences
  allreduce @6 :Text;       # an algorithm, or "auto"
  weightBytes @7 :UInt64;   # what the slices add up to, checked against the node's budget
  sequences @8 :UInt32;     # that have a cache at the same time
}

# One tensor of the receiver's slice; its bytes follow in data frames.
struct Tensor {
  layer @0 :UInt32;
  part @1 :UInt16;          # index into the fixed order of a block's tensors
  type @2 :UInt32;
  rows @3 :UInt32;          # 0: a vector
  columns @4 :UInt32;
  copy @5 :UInt32;          # which expert's
}

struct Ready {
  weightBytes @0 :UInt64;
  kvBytes @1 :UInt64;
  loadMs @2 :Float64;
}

struct Report {
  weightBytes @0 :UInt64;
  kvBytes @1 :UInt64;
  peakRssBytes @2 :UInt64;
  bytesSent @3 :UInt64;
  bytesReceived @4 :UInt64;
  computeMs @5 :Float64;
  waitMs @6 :Float64;
  loadMs @7 :Float64;
}
