// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_elf.c - boot_load() on hostile ELF kernels
 *
 * The input is the file.  What is taken must be enterable: the entry point in
 * low RAM above 1 MiB, the tables intact.
 */
#include "tests/fuzz/fuzz_kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_kernel(data, size, "\177ELF", 0);
}
