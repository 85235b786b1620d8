# codops_layer(NAME base io DEPENDS … PRIVATE …): one static library of every source in the current folder and below.
# DEPENDS names layers (public), PRIVATE third-party targets that must not reach those who include the headers.
# The layers' order is in README, "The house"; tests/layers.sh fails on an include that goes upward.
function(codops_layer name)
  cmake_parse_arguments(LAYER "" "" "DEPENDS;PRIVATE" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  set(target codops_${name})
  if(NOT sources)
    add_library(${target} INTERFACE)
    list(TRANSFORM LAYER_DEPENDS PREPEND codops_)
    target_link_libraries(${target} INTERFACE codops_flags ${LAYER_DEPENDS})
    return()
  endif()
  add_library(${target} STATIC ${sources})
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  list(TRANSFORM LAYER_DEPENDS PREPEND codops_)
  target_link_libraries(${target} PUBLIC codops_flags ${LAYER_DEPENDS} PRIVATE ${codops_fmt} ${LAYER_PRIVATE})
  codops_precompiled_header(${target})
endfunction()

function(codops_precompiled_header target)
  if(target STREQUAL "codops_base")
    target_precompile_headers(${target} PRIVATE ${PROJECT_SOURCE_DIR}/cmake/precompiled.hpp)
    # For ccache (CMakeLists.txt): what the precompiled header depends on, without the folder that it stands in.
    file(SHA256 ${PROJECT_SOURCE_DIR}/cmake/precompiled.hpp header_sum)
    file(SHA256 ${PROJECT_SOURCE_DIR}/cmake/flags.cmake flags_sum)
    file(WRITE ${CMAKE_CURRENT_BINARY_DIR}/CMakeFiles/${target}.dir/cmake_pch.hxx.gch.sum
      "${header_sum} ${flags_sum} ${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} ${CMAKE_BUILD_TYPE} ${CMAKE_CXX_FLAGS}\n")
  else()
    target_precompile_headers(${target} REUSE_FROM codops_base)
  endif()
  target_compile_options(${target} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
endfunction()
