# In a release build, Debian's static archives of the libraries that are small or that only codops needs: four fifths of the time that
# `codops --version` takes is the dynamic loader looking symbols up, and every library costs pages. libcurl, libpq, OpenSSL and zlib
# stay shared: they face the network, so their updates must reach codops without a build, and their archives would bring Kerberos
# and LDAP along anyway. Where an archive is missing, the shared libraries are taken, all of them: libstdc++ is in a process once.
set(CODOPS_ARCHIVES_DEFAULT OFF)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  set(CODOPS_ARCHIVES_DEFAULT ON)
endif()
option(CODOPS_ARCHIVES "link Debian's static archives where that makes codops start faster" ${CODOPS_ARCHIVES_DEFAULT})
set(codops_fmt fmt::fmt)
set(codops_yaml yaml-cpp)
if(TARGET yaml-cpp::yaml-cpp)  # its name since 0.8, the only one in Debian 13
  set(codops_yaml yaml-cpp::yaml-cpp)
endif()
set(codops_pqxx PkgConfig::PQXX)
set(codops_hiredis PkgConfig::HIREDIS)
set(codops_zstd PkgConfig::ZSTD)
set(codops_xxhash PkgConfig::XXHASH)
set(codops_archive LibArchive::LibArchive)
if(NOT CODOPS_ARCHIVES)
  return()
endif()

# libarchive.a wants it to write files to disk; it comes with libarchive, its headers are not needed.
find_library(CODOPS_ACL libacl.so.1)
if(NOT CODOPS_ACL)
  message(STATUS "no libacl.so.1: shared libraries throughout")
  return()
endif()
foreach(name yaml-cpp pqxx hiredis zstd xxhash archive)
  find_library(CODOPS_${name}_ARCHIVE lib${name}.a)
  if(NOT CODOPS_${name}_ARCHIVE)
    message(STATUS "no lib${name}.a: shared libraries throughout")
    return()
  endif()
endforeach()

# The package's own target to compile with, another file to link.
function(codops_archive_of variable name)
  set(package ${${variable}})
  add_library(codops_${name}_archive INTERFACE)
  target_include_directories(codops_${name}_archive SYSTEM INTERFACE $<TARGET_PROPERTY:${package},INTERFACE_INCLUDE_DIRECTORIES>)
  target_compile_definitions(codops_${name}_archive INTERFACE $<TARGET_PROPERTY:${package},INTERFACE_COMPILE_DEFINITIONS>)
  target_compile_options(codops_${name}_archive INTERFACE $<TARGET_PROPERTY:${package},INTERFACE_COMPILE_OPTIONS>)
  target_link_libraries(codops_${name}_archive INTERFACE ${ARGN})
  set(${variable} codops_${name}_archive PARENT_SCOPE)
endfunction()
codops_archive_of(codops_yaml yaml-cpp ${CODOPS_yaml-cpp_ARCHIVE})
codops_archive_of(codops_pqxx pqxx ${CODOPS_pqxx_ARCHIVE} PkgConfig::PQ)
codops_archive_of(codops_hiredis hiredis ${CODOPS_hiredis_ARCHIVE})
codops_archive_of(codops_zstd zstd ${CODOPS_zstd_ARCHIVE})
codops_archive_of(codops_xxhash xxhash ${CODOPS_xxhash_ARCHIVE})

add_library(codops_unused_formats STATIC ${CMAKE_CURRENT_LIST_DIR}/archives/unused_formats.cpp)
target_link_libraries(codops_unused_formats PRIVATE codops_flags)
# Asked for by name and before the archive: the linker takes the first that it finds.
codops_archive_of(codops_archive archive -Wl,-u,archive_write_set_format_xar codops_unused_formats ${CODOPS_archive_ARCHIVE} ${CODOPS_ACL} PkgConfig::ZLIB)

# Debian has fmt's code as a shared library and as headers only: compiled once, not into every source.
add_library(codops_fmt_code STATIC ${CMAKE_CURRENT_LIST_DIR}/archives/fmt.cpp)
target_include_directories(codops_fmt_code SYSTEM PRIVATE $<TARGET_PROPERTY:fmt::fmt,INTERFACE_INCLUDE_DIRECTORIES>)
target_link_libraries(codops_fmt_code PRIVATE codops_flags)
codops_archive_of(codops_fmt fmt codops_fmt_code)
set_target_properties(codops_unused_formats codops_fmt_code PROPERTIES UNITY_BUILD OFF)

target_link_options(codops_flags INTERFACE -static-libstdc++ -static-libgcc -Wl,--gc-sections)
