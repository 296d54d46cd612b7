// The `starling` program; everything else is in command.cpp and the files of the commands.
#include "tools/command.h"

int main(int argc, char** argv) { return starling::tools::run_program({argv + 1, argv + argc}); }
