// How a command comes to run as the ranks of an MPI job.
#pragma once

namespace starling::tools {

/// Becomes mpirun with this very command on every rank, `--nodes mpi` in place of how it was started. Kind::missing
/// when there is no mpirun.
[[noreturn]] void become_mpirun(int ranks);

}  // namespace starling::tools
