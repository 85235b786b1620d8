# In a release build, Debian's static archives of the libraries that are small or that only codops needs: four fifths of the time that
# `codops --version` takes is the dynamic loader looking symbols up, and every library costs pages. Where an archive is missing, the
# shared libraries are taken, all of them: libstdc++ is in a process once.
# OpenSSL, nghttp2 and zlib stay shared: they face the network, and their updates reach codops without a build. So does libpq, with the
# Kerberos and LDAP that it brings, but it is loaded when a database is first spoken to. libcurl is taken from its archive without
# what codops never asks for (LDAP, RTMP, SSH, Kerberos and the 25 libraries of those): its updates reach codops by a build. That is the
# price of a health check in 4 ms instead of 7. Either way is tried when configuring; what does not fit here is linked as everywhere.
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
set(codops_pq PkgConfig::PQ)
set(codops_curl CURL::libcurl)
set(codops_hiredis PkgConfig::HIREDIS)
set(codops_zstd PkgConfig::ZSTD)
set(codops_xxhash PkgConfig::XXHASH)
set(codops_archive LibArchive::LibArchive)
if(NOT CODOPS_ARCHIVES)
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
codops_archive_of(codops_hiredis hiredis ${CODOPS_hiredis_ARCHIVE})
codops_archive_of(codops_zstd zstd ${CODOPS_zstd_ARCHIVE})
codops_archive_of(codops_xxhash xxhash ${CODOPS_xxhash_ARCHIVE})

add_library(codops_unused_formats STATIC ${CMAKE_CURRENT_LIST_DIR}/archives/unused_formats.cpp)
target_link_libraries(codops_unused_formats PRIVATE codops_flags)
# Asked for by name and before the archive: the linker takes the first that it finds.
codops_archive_of(codops_archive archive -Wl,-u,archive_write_set_format_xar codops_unused_formats ${CODOPS_archive_ARCHIVE} PkgConfig::ZLIB)

# Debian has fmt's code as a shared library and as headers only: compiled once, not into every source.
add_library(codops_fmt_code STATIC ${CMAKE_CURRENT_LIST_DIR}/archives/fmt.cpp)
target_include_directories(codops_fmt_code SYSTEM PRIVATE $<TARGET_PROPERTY:fmt::fmt,INTERFACE_INCLUDE_DIRECTORIES>)
target_link_libraries(codops_fmt_code PRIVATE codops_flags)
codops_archive_of(codops_fmt fmt codops_fmt_code)
set_target_properties(codops_unused_formats codops_fmt_code PROPERTIES UNITY_BUILD OFF)

# libpq when it is first asked for.
try_compile(CODOPS_LATE_LIBPQ SOURCES ${CMAKE_CURRENT_LIST_DIR}/archives/probe_libpq.cpp ${CMAKE_CURRENT_LIST_DIR}/archives/libpq.cpp
  CMAKE_FLAGS "-DINCLUDE_DIRECTORIES=${PQ_INCLUDE_DIRS}" LINK_LIBRARIES ${CODOPS_pqxx_ARCHIVE} CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
if(CODOPS_LATE_LIBPQ)
  add_library(codops_libpq STATIC ${CMAKE_CURRENT_LIST_DIR}/archives/libpq.cpp)
  target_include_directories(codops_libpq SYSTEM PRIVATE $<TARGET_PROPERTY:PkgConfig::PQ,INTERFACE_INCLUDE_DIRECTORIES>)
  target_link_libraries(codops_libpq PRIVATE codops_flags)
  set_target_properties(codops_libpq PROPERTIES UNITY_BUILD OFF)
  codops_archive_of(codops_pq PQ codops_libpq)
else()
  message(STATUS "libpqxx.a calls more of libpq than cmake/archives/libpq.cpp forwards: libpq is linked")
endif()
codops_archive_of(codops_pqxx pqxx ${CODOPS_pqxx_ARCHIVE} ${codops_pq})

# libcurl with HTTP alone. libnghttp2 comes with libcurl; its headers are not needed.
find_library(CODOPS_CURL_ARCHIVE libcurl.a)
find_library(CODOPS_NGHTTP2 libnghttp2.so.14)
if(CODOPS_CURL_ARCHIVE AND CODOPS_NGHTTP2)
  set(codops_curl_libraries ${CODOPS_CURL_ARCHIVE} ${CODOPS_NGHTTP2} OpenSSL::SSL OpenSSL::Crypto ${CODOPS_zstd_ARCHIVE} PkgConfig::ZLIB)
  try_run(CODOPS_HTTP_CURL_RUN CODOPS_HTTP_CURL SOURCES ${CMAKE_CURRENT_LIST_DIR}/archives/probe_libcurl.cpp ${CMAKE_CURRENT_LIST_DIR}/archives/libcurl.cpp
    LINK_LIBRARIES ${codops_curl_libraries} CXX_STANDARD 20 CXX_STANDARD_REQUIRED ON)
endif()
if(CODOPS_HTTP_CURL AND CODOPS_HTTP_CURL_RUN EQUAL 0)
  add_library(codops_libcurl STATIC ${CMAKE_CURRENT_LIST_DIR}/archives/libcurl.cpp)
  target_link_libraries(codops_libcurl PRIVATE codops_flags)
  set_target_properties(codops_libcurl PROPERTIES UNITY_BUILD OFF)
  codops_archive_of(codops_curl curl -Wl,-u,Curl_handler_ldap codops_libcurl ${codops_curl_libraries})
else()
  message(STATUS "no libcurl.a that the stand-ins of cmake/archives/libcurl.cpp fit: libcurl is linked")
endif()

target_link_options(codops_flags INTERFACE -static-libstdc++ -static-libgcc -Wl,--gc-sections)
