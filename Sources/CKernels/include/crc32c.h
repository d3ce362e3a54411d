// CRC-32C (Castagnoli): the checksum of iSCSI, ext4 and TFRecord.
#ifndef CONVOY_KERNELS_CRC32C_H
#define CONVOY_KERNELS_CRC32C_H

#include "targets.h"

/// Takes bytes into a running checksum, with the CPU's instruction where it has one. The state starts as all ones; the
/// checksum is its complement.
uint32_t convoy_crc32c(uint32_t state, const uint8_t *bytes, size_t count);

/// The same by a table, a byte at a time.
uint32_t convoy_crc32c_portable(uint32_t state, const uint8_t *bytes, size_t count);

#endif
