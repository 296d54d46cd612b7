# cmake --install: the program, the libraries, their headers under include/starling (so that an include reads as
# it does here: "core/tensor.h"), and the package that find_package(Starling) loads.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(starling_rooms)
foreach(room core comm partition federated sim)
  if(TARGET ${room})
    list(APPEND starling_rooms ${room})
    install(DIRECTORY ${PROJECT_SOURCE_DIR}/${room} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/starling
            FILES_MATCHING PATTERN "*.h")
    if(EXISTS ${PROJECT_BINARY_DIR}/${room})  # what capnp generated
      install(DIRECTORY ${PROJECT_BINARY_DIR}/${room} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/starling
              FILES_MATCHING PATTERN "*.capnp.h" PATTERN "CMakeFiles" EXCLUDE)
    endif()
  endif()
endforeach()
install(TARGETS starling RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS starling_flags ${starling_rooms} EXPORT StarlingTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})

set(starling_package ${CMAKE_INSTALL_LIBDIR}/cmake/Starling)
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/StarlingConfig.cmake.in
  ${PROJECT_BINARY_DIR}/StarlingConfig.cmake INSTALL_DESTINATION ${starling_package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/StarlingConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(EXPORT StarlingTargets NAMESPACE Starling:: DESTINATION ${starling_package})
install(FILES ${PROJECT_BINARY_DIR}/StarlingConfig.cmake ${PROJECT_BINARY_DIR}/StarlingConfigVersion.cmake
  ${CMAKE_CURRENT_LIST_DIR}/StarlingDependencies.cmake DESTINATION ${starling_package})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
