/**
 * @file
 * Reading a status page through its descriptor.
 *
 * Purpose: what weir/status_page.h promises rests on these: a header that is checked, blocks that
 * are whole or marked, texts that can be shown.
 *
 * Threads: any. Blocking: pread, a bounded number of times.
 *
 * Ordering: SYNC(status.sequence). The kernel copies the block; full fences around the call stand
 * where a mapping would need acquire loads. A mapping would raise SIGBUS when somebody truncates
 * the file.
 */
#ifndef WEIR_MANAGER_STATUS_READ_H
#define WEIR_MANAGER_STATUS_READ_H

#include "layout/generated/weir_layout.h"
#include "weir/status.h"
#include "weir/status_page.h"

/** Opens and checks the page of a private directory. Returns as weir_status_open; the caller closes
 * @p fd. */
weir_status weir_status_read_header(const char *directory, int *fd,
                                    struct weir_status_header *header,
                                    weir_error *error) WEIR_MUST_CHECK;

/** Reads one block whose first word is its sequence; odd in the copy means torn. Returns WEIR_OK,
 * WEIR_CORRUPT (the file ends before the block does). */
weir_status weir_status_read_block(int fd, uint64_t offset, void *block,
                                   size_t bytes) WEIR_MUST_CHECK;

/** Ends the text in a field and replaces what cannot be shown by question marks. */
void weir_status_clean_text(uint8_t *text, size_t bytes);

/** What /proc says of a process. */
weir_process_view weir_status_look_at(int32_t pid);

#endif
