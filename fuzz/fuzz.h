/* What the targets share: a failed check ends the program, and memory is measured. */
#ifndef GV_FUZZ_H
#define GV_FUZZ_H

#include "base/error.h"
#include "checkpoint/checkpoint.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            fuzz_fail(__FILE__, __LINE__, #condition);                                             \
    } while (0)

_Noreturn void fuzz_fail(const char *file, int line, const char *text);

/* A refusal must have a sentence, and must not be one that only a caller's mistake explains. */
void fuzz_check_status(gv_status status, const gv_error *err);

/* Between the two, the peak of all living allocations, jansson's and zlib's among them, must not
 * pass 24 times the size of the input plus `more` bytes. Measured under AddressSanitizer alone. */
void fuzz_memory_begin(void);
void fuzz_memory_end(size_t input_size, size_t more);

/* At the end of an input: no block of ours may be left. */
void fuzz_check_leaks(void);

/* Touches every byte that the view reaches; of large views those at their ends. With data, they
 * must lie in its size bytes. */
void fuzz_read_view(const gv_view *v, const uint8_t *data, size_t size);

/* The same for all tensors of a checkpoint that was read from the data, and for its tree as text.
 */
void fuzz_read_checkpoint(gv_checkpoint *ck, const uint8_t *data, size_t size);

#endif
