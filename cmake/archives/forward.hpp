#pragma once
// A function of a shared library that is loaded when the first of its functions is called. Where it can't be, the function does nothing
// and returns 0: whoever calls asks first whether the library is there.
#include <dlfcn.h>

#define CODOPS_LIBRARY(soname)                                                        \
  static void* symbol(const char* name) {                                             \
    static void* const library = ::dlopen(soname, RTLD_NOW | RTLD_LOCAL);              \
    return library == nullptr ? nullptr : ::dlsym(library, name);                      \
  }

#define CODOPS_FORWARD(result, name, parameters, arguments)                           \
  extern "C" result name parameters {                                                 \
    static const auto real = reinterpret_cast<result(*) parameters>(symbol(#name));   \
    return real != nullptr ? real arguments : static_cast<result>(0);                 \
  }
