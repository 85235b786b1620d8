// codops writes tar and nothing else. In libarchive.a one table names every format, and through it libxml2, ICU, nettle and lzma would
// be linked: these stand in for the formats that nobody here asks for, and say so should anyone.
#include <archive.h>

#include <cerrno>

#define CODOPS_UNUSED(name)                                                            \
  extern "C" int archive_write_set_format_##name(struct archive* handle) {              \
    ::archive_set_error(handle, ENOTSUP, "codops is built without " #name); \
    return ARCHIVE_FATAL;                                                              \
  }

CODOPS_UNUSED(7zip)
CODOPS_UNUSED(ar_bsd)
CODOPS_UNUSED(ar_svr4)
CODOPS_UNUSED(cpio)
CODOPS_UNUSED(cpio_bin)
CODOPS_UNUSED(cpio_newc)
CODOPS_UNUSED(cpio_odc)
CODOPS_UNUSED(cpio_pwb)
CODOPS_UNUSED(iso9660)
CODOPS_UNUSED(mtree)
CODOPS_UNUSED(mtree_classic)
CODOPS_UNUSED(shar)
CODOPS_UNUSED(shar_dump)
CODOPS_UNUSED(v7tar)
CODOPS_UNUSED(warc)
CODOPS_UNUSED(xar)
CODOPS_UNUSED(zip)

// Nor are access control lists unpacked (tar_unpack.cpp does not ask for them): libacl would be linked.
extern "C" int archive_write_disk_set_acls(struct archive* handle) {
  ::archive_set_error(handle, ENOTSUP, "codops is built without access control lists");
  return ARCHIVE_FAILED;
}
