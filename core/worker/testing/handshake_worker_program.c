/**
 * @file
 * A worker that shakes hands, shows that it holds usable memory, and leaves.
 *
 * Purpose: the other process in the manager's handshake tests. It is started with the environment
 * of a real worker. After READY it waits for its eventfd, adds one to the first word of the request
 * payloads, writes the sum to the response payloads, rings the manager's eventfd and waits for the
 * end of the control socket.
 *
 * Environment for tests: WEIR_TEST_ROLE, WEIR_TEST_LAYOUT (file with the layout to claim),
 * WEIR_TEST_WITHOUT_CRC.
 *
 * Exit status: 0, or 100 + the weir_status of the handshake; its sentence goes to stderr.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/os.h"
#include "weir/layout.h"
#include "worker/handshake.h"

#define PATIENCE_NS (60 * WEIR_NS_PER_SECOND)

static weir_status no_routine(weir_job *job, void *context)
{
    (void)job;
    (void)context;
    return WEIR_UNSUPPORTED;
}

/* Claims another layout than the built-in one. */
static int claim_layout(const char *path, weir_worker_identity *identity)
{
    static char text[1 << 20];
    static char *canonical;
    weir_error error = {.text = ""};
    weir_layout *layout = NULL;
    size_t bytes = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        return 0;
    }
    const size_t length = fread(text, 1, sizeof text, file);
    fclose(file);
    if (weir_layout_load(text, length, path, NULL, &layout, &error) != WEIR_OK ||
        weir_layout_canonical(layout, &canonical, &bytes) != WEIR_OK ||
        weir_layout_digest_of(layout, identity->layout_digest) != WEIR_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 0;
    }
    weir_layout_version(layout, &identity->layout_major, &identity->layout_minor);
    weir_layout_free(layout);
    identity->layout_text = canonical;
    identity->layout_bytes = (uint32_t)bytes;
    return 1;
}

static int wait_readable(int fd)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    return weir_os()->poll_until(&ready, 1, weir_deadline_in(PATIENCE_NS), NULL) == 1;
}

static int serve(weir_worker_terms *terms)
{
    if (!wait_readable(terms->request_eventfd) ||
        weir_os()->eventfd_drain(terms->request_eventfd) != 0) {
        return 2;
    }
    const uint64_t asked = weir_load_relaxed_u64((uint64_t *)terms->arena.request_payload.at);
    weir_store_relaxed_u64((uint64_t *)terms->arena.response_payload.at, asked + 1);
    if (weir_os()->eventfd_ring(terms->response_eventfd) != 0 || !wait_readable(terms->socket_fd)) {
        return 3;
    }
    weir_control_message message;
    weir_control_descriptors descriptors;
    return weir_control_receive(terms->socket_fd, &message, &descriptors, NULL) == WEIR_PEER_DEAD
               ? 0
               : 4;
}

int main(int argc, char **argv)
{
    static const weir_worker_routine routines[] = {
        {WEIR_OPCODE_SIMULATE, no_routine},
        {WEIR_OPCODE_ECHO, no_routine},
        {WEIR_OPCODE_APPLICATION_FIRST, no_routine},
        {WEIR_OPCODE_ECHO, no_routine},
    };
    const weir_worker_options options = {
        .role = getenv("WEIR_TEST_ROLE"),
        .routines = routines,
        .routine_count = sizeof routines / sizeof routines[0],
        .without_payload_crc = getenv("WEIR_TEST_WITHOUT_CRC") != NULL,
        .connect_timeout_ns = PATIENCE_NS,
    };
    weir_error error = {.text = ""};
    weir_worker_identity identity;
    weir_worker_terms terms;
    weir_status status = weir_worker_handshake_prepare(&options, argc, argv, &identity, &error);
    const char *layout = getenv("WEIR_TEST_LAYOUT");
    if (status == WEIR_OK && layout != NULL && !claim_layout(layout, &identity)) {
        return 5;
    }
    if (status == WEIR_OK) {
        status = weir_worker_handshake_run(&identity, &terms, &error);
    }
    int result = 100 + (int)status;
    if (status == WEIR_OK) {
        result = serve(&terms);
        weir_worker_handshake_close(&terms);
    } else {
        fprintf(stderr, "%s\n", error.text);
    }
    if (identity.layout_text != weir_layout_canonical_text) {
        free((void *)(uintptr_t)identity.layout_text);
    }
    return result;
}
