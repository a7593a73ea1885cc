/* The contexts that live in a caller's workspace are in zstd.h's part for static linking; they
 * exist since 1.3. */
#define ZSTD_STATIC_LINKING_ONLY
#include "channel/compress.h"

#include <lz4.h>
#include <stdbool.h>
#include <stdlib.h>
#include <zstd.h>

/* Both favour speed: the bytes stay on this machine and are read once. */
#define LZ4_ACCELERATION 1
#define ZSTD_LEVEL       1

/* Contexts in zstd's workspaces must be 8-byte aligned. */
#define ZSTD_ALIGN(bytes) (((bytes) + 63) & ~(size_t)63)

static weir_status init_zstd(weir_packer *packer)
{
    /* Static contexts never touch the heap again; ordinary ones grow and shrink with the lengths
     * that they meet. */
    const size_t pack_bytes = ZSTD_ALIGN(ZSTD_estimateCCtxSize(ZSTD_LEVEL));
    const size_t unpack_bytes = ZSTD_ALIGN(ZSTD_estimateDCtxSize());
    uint8_t *workspace = malloc(pack_bytes + unpack_bytes);
    if (workspace == NULL) {
        return WEIR_NO_MEMORY;
    }
    packer->zstd_workspace = workspace;
    packer->zstd_pack = ZSTD_initStaticCCtx(workspace, pack_bytes);
    packer->zstd_unpack = ZSTD_initStaticDCtx(workspace + pack_bytes, unpack_bytes);
    return packer->zstd_pack != NULL && packer->zstd_unpack != NULL ? WEIR_OK : WEIR_NO_MEMORY;
}

weir_status weir_packer_init(weir_packer *packer, uint32_t capabilities)
{
    *packer = (weir_packer){0};
    weir_status status = WEIR_OK;
    if (capabilities & WEIR_CAPABILITY_LZ4) {
        packer->lz4_state = malloc((size_t)LZ4_sizeofState());
        status = packer->lz4_state != NULL ? WEIR_OK : WEIR_NO_MEMORY;
    }
    if (status == WEIR_OK && (capabilities & WEIR_CAPABILITY_ZSTD)) {
        status = init_zstd(packer);
    }
    if (status != WEIR_OK) {
        weir_packer_destroy(packer);
    }
    return status;
}

void weir_packer_destroy(weir_packer *packer)
{
    free(packer->lz4_state);
    free(packer->zstd_workspace);
    *packer = (weir_packer){0};
}

static weir_status pack_lz4(weir_packer *packer, const void *from, size_t bytes, void *to,
                            size_t capacity, size_t *packed)
{
    const int written = LZ4_compress_fast_extState(packer->lz4_state, from, to, (int)bytes,
                                                   (int)capacity, LZ4_ACCELERATION);
    if (written <= 0) {
        return WEIR_FULL;
    }
    *packed = (size_t)written;
    return WEIR_OK;
}

static weir_status pack_zstd(weir_packer *packer, const void *from, size_t bytes, void *to,
                             size_t capacity, size_t *packed)
{
    const size_t written =
        ZSTD_compressCCtx(packer->zstd_pack, to, capacity, from, bytes, ZSTD_LEVEL);
    if (ZSTD_isError(written)) {
        return WEIR_FULL;
    }
    *packed = written;
    return WEIR_OK;
}

weir_status weir_pack(weir_packer *packer, uint32_t algorithm, const void *from, size_t bytes,
                      void *to, size_t capacity, size_t *packed)
{
    const bool is_lz4 = algorithm == WEIR_ENVELOPE_FLAG_LZ4 && packer->lz4_state != NULL;
    const bool is_zstd = algorithm == WEIR_ENVELOPE_FLAG_ZSTD && packer->zstd_workspace != NULL;
    if (!is_lz4 && !is_zstd) {
        return WEIR_UNSUPPORTED;
    }
    if (bytes < 2 || bytes > WEIR_PACK_BYTES_MAX) {
        return WEIR_FULL;
    }
    /* Less room than the payload itself: whatever fits has shrunk, and the algorithm may give up
     * early. */
    const size_t room = capacity < bytes ? capacity : bytes - 1;
    if (room == 0) {
        return WEIR_FULL;
    }
    return is_lz4 ? pack_lz4(packer, from, bytes, to, room, packed)
                  : pack_zstd(packer, from, bytes, to, room, packed);
}

static bool unpack_zstd(weir_packer *packer, const void *from, size_t bytes, void *to,
                        size_t original_bytes)
{
    /* One frame, not several and none of those that carry no content. */
    const size_t frame_bytes = ZSTD_findFrameCompressedSize(from, bytes);
    if (ZSTD_isError(frame_bytes) || frame_bytes != bytes || ZSTD_isSkippableFrame(from, bytes)) {
        return false;
    }
    return ZSTD_decompressDCtx(packer->zstd_unpack, to, original_bytes, from, bytes) ==
           original_bytes;
}

weir_status weir_unpack(weir_packer *packer, uint32_t algorithm, const void *from, size_t bytes,
                        void *to, size_t original_bytes)
{
    const bool is_lz4 = algorithm == WEIR_ENVELOPE_FLAG_LZ4 && packer->lz4_state != NULL;
    const bool is_zstd = algorithm == WEIR_ENVELOPE_FLAG_ZSTD && packer->zstd_workspace != NULL;
    if (!is_lz4 && !is_zstd) {
        return WEIR_UNSUPPORTED;
    }
    if (bytes == 0 || bytes > WEIR_PACK_BYTES_MAX || original_bytes > WEIR_PACK_BYTES_MAX) {
        return WEIR_CORRUPT;
    }
    const bool is_whole = is_lz4 ? LZ4_decompress_safe(from, to, (int)bytes, (int)original_bytes) ==
                                       (int)original_bytes
                                 : unpack_zstd(packer, from, bytes, to, original_bytes);
    return is_whole ? WEIR_OK : WEIR_CORRUPT;
}
