// The ranks of an MPI job (mpirun, Slurm) as a Transport. Open MPI cannot lose a rank and go on: a failure ends
// the whole job, see mpi_give_up().
#pragma once

#include <memory>

#include "comm/transport.h"

namespace starling::comm {

/// All ranks of MPI_COMM_WORLD; every process calls it once. Starts MPI unless that was done, and ends it with
/// the transport. Kind::unsupported when this MPI cannot be called from several threads in turn.
std::unique_ptr<Transport> mpi_world(const Limits& limits = {});

/// Whether this process was started by an MPI launcher.
bool under_mpi_launcher();

/// Ends all processes of the job at once with this exit status (not 0). For the program's error path: the other
/// ranks would wait for this one. Kind::usage when no job runs.
[[noreturn]] void mpi_give_up(int status);

}  // namespace starling::comm
