# Warnings as errors and the hardening flags of the OpenSSF guide, each probed: compilers differ.
include(CheckCXXCompilerFlag)

add_library(codops_flags INTERFACE)
target_compile_options(codops_flags INTERFACE
  -Wall -Wextra -Wformat=2 -Wconversion -Wsign-conversion -Wimplicit-fallthrough -Wshadow -Wnon-virtual-dtor
  -Werror -Werror=format-security)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 to 14 report these inside the standard library's own inlined code.
  target_compile_options(codops_flags INTERFACE -Wno-restrict -Wno-maybe-uninitialized
    -Wno-missing-field-initializers)
  # g++ 13 and later take a function's reference argument for the temporary that its result refers to.
  if(CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 13)
    target_compile_options(codops_flags INTERFACE -Wno-dangling-reference)
  endif()
endif()

if(CMAKE_UNITY_BUILD)
  # The release build compiles up to twenty sources of a layer as one: names in anonymous namespaces are unique within a layer, and
  # these two warnings can't tell the sources apart. The other presets give them.
  target_compile_options(codops_flags INTERFACE -Wno-shadow -Wno-subobject-linkage)
endif()

set(hardening -fstack-clash-protection -fstack-protector-strong -fcf-protection=full -ftrivial-auto-var-init=zero)
# All at once, which is one compilation; one by one where some are unknown.
string(JOIN " " together ${hardening})
check_cxx_compiler_flag(${together} HAS_hardening)
if(HAS_hardening)
  target_compile_options(codops_flags INTERFACE ${hardening})
  set(hardening)
endif()
foreach(flag IN LISTS hardening)
  string(MAKE_C_IDENTIFIER "HAS${flag}" known)
  check_cxx_compiler_flag(${flag} ${known})
  if(${known})
    target_compile_options(codops_flags INTERFACE ${flag})
  endif()
endforeach()
# _FILE_OFFSET_BITS comes with libarchive's own flags: everyone has it, so that all share one precompiled header.
target_compile_definitions(codops_flags INTERFACE _GLIBCXX_ASSERTIONS _FILE_OFFSET_BITS=64)
# It wants an optimised build: the tests (layers.cmake) are none.
target_compile_options(codops_flags INTERFACE
  $<$<AND:$<CONFIG:Release>,$<NOT:$<STREQUAL:$<TARGET_PROPERTY:CODOPS_OPTIMISED>,-O0>>>:-U_FORTIFY_SOURCE$<SEMICOLON>-D_FORTIFY_SOURCE=3>)
# -fPIE everywhere rather than per target: the one precompiled header serves libraries and programs.
target_compile_options(codops_flags INTERFACE -fPIE)
target_link_options(codops_flags INTERFACE -pie -Wl,-z,noexecstack,-z,relro,-z,now -Wl,--as-needed)
