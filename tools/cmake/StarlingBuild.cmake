# How every target of Starling is compiled: language level, warnings, sanitizers, libraries.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(STARLING_CCACHE ccache)
if(STARLING_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${STARLING_CCACHE})
endif()

include(StarlingDependencies)

# Flags that every Starling target shares. -ffp-contract=off: a multiply-add is fused only where the
# source says so, otherwise the same expression could round differently in two places.
add_library(starling_flags INTERFACE)
target_compile_features(starling_flags INTERFACE cxx_std_20)
target_compile_options(starling_flags INTERFACE -ffp-contract=off
  $<BUILD_INTERFACE:-Wall;-Wextra;-Wshadow;-Wnon-virtual-dtor;-Werror>)
# g++ 12 sees overlapping copies in std::string's own code (its bug 105651).
target_compile_options(starling_flags INTERFACE $<BUILD_INTERFACE:$<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>>)
target_include_directories(starling_flags INTERFACE
  $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}>
  $<INSTALL_INTERFACE:include/starling>)
if(STARLING_CHECK STREQUAL address)
  # The checks it puts in hide from g++ 12 that boost::optional looks at a value only where there is one.
  set(starling_check -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g -Wno-maybe-uninitialized)
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
elseif(STARLING_CHECK STREQUAL thread)
  set(starling_check -fsanitize=thread -fno-omit-frame-pointer -g -Wno-tsan)
elseif(STARLING_CHECK STREQUAL fuzz)
  set(starling_check -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -g)
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
elseif(NOT STARLING_CHECK STREQUAL none)
  message(FATAL_ERROR "STARLING_CHECK=${STARLING_CHECK}: expected none, address, thread or fuzz")
endif()
if(starling_check)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    list(REMOVE_ITEM starling_check -Wno-tsan -Wno-maybe-uninitialized)
  endif()
  add_compile_options(${starling_check})
  add_link_options(${starling_check})
endif()

set(starling_dependencies_core
  Threads::Threads fmt::fmt nlohmann_json::nlohmann_json tomlplusplus::tomlplusplus
  PkgConfig::pcre2 PkgConfig::archive PkgConfig::utf8proc PkgConfig::xxhash PkgConfig::hwy)
set(starling_dependencies_comm CapnProto::capnp PkgConfig::zmq)
if(STARLING_MPI)
  list(APPEND starling_dependencies_comm MPI::MPI_CXX)
endif()
set(starling_dependencies_partition CapnProto::capnp)
set(starling_dependencies_federated CapnProto::capnp)

# One library per folder, its sources found by pattern so that no list can lose a file. A folder may
# use only the folders named here (and what those use); tests/tidy_test.cpp checks the includes.
function(starling_library name)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${name}/*.cpp)
  if(NOT STARLING_MPI)
    list(FILTER sources EXCLUDE REGEX "/mpi[^/]*\\.cpp$")
  endif()
  if(NOT sources)
    return()  # a room without furniture yet
  endif()
  file(GLOB schemas CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/${name}/*.capnp)
  if(schemas)
    set(CAPNPC_SRC_PREFIX ${PROJECT_SOURCE_DIR})
    set(CAPNPC_OUTPUT_DIR ${PROJECT_BINARY_DIR})
    file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/${name})
    capnp_generate_cpp(schema_sources schema_headers ${schemas})
    set_source_files_properties(${schema_sources} PROPERTIES COMPILE_OPTIONS "-w")
    list(APPEND sources ${schema_sources})
  endif()
  # Sources compiled for every instruction set, by Highway or by a target of their own, stay alone in a unity build.
  foreach(source ${sources})
    if(EXISTS ${source})
      file(STRINGS ${source} dispatched REGEX "HWY_TARGET_INCLUDE|core/ops/packed_kernel[.]h" LIMIT_COUNT 1)
      if(dispatched)
        set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
      endif()
    endif()
  endforeach()
  add_library(${name} STATIC ${sources})
  add_library(Starling::${name} ALIAS ${name})
  set(rooms ${ARGN})
  foreach(room ${ARGN})
    if(NOT TARGET ${room})
      list(REMOVE_ITEM rooms ${room})
    endif()
  endforeach()
  target_link_libraries(${name} PUBLIC starling_flags ${rooms} ${starling_dependencies_${name}})
  target_compile_definitions(${name} PUBLIC $<$<BOOL:${STARLING_MPI}>:STARLING_MPI=1>)
  if(name STREQUAL comm)  # whoever uses comm may meet Cap'n Proto's headers; see the file
    target_compile_options(${name} PUBLIC "SHELL:$<$<COMPILE_LANG_AND_ID:CXX,Clang>:-include comm/kj_clang.h>")
  endif()
  set_target_properties(${name} PROPERTIES OUTPUT_NAME starling_${name})
endfunction()
