/* Who this worker is: command line, options and environment. Declared in handshake.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "worker/handshake.h"

#define DEFAULT_TIMEOUT_NS (10 * WEIR_NS_PER_SECOND)
#define DEFAULT_ROLE       "worker"
#define LANGUAGE           "c"

#define ALL_STRATEGIES                                                                             \
    (1u << WEIR_WAKE_STRATEGY_FUTEX | 1u << WEIR_WAKE_STRATEGY_EVENTFD |                           \
     1u << WEIR_WAKE_STRATEGY_SIGNAL)

/* Copies a name that must fit and be printable ASCII, since it ends up in logs and tables. */
static weir_status take_text(const char *what, const char *text, char *to, size_t bytes,
                             weir_error *error)
{
    const size_t length = strlen(text);
    if (length >= bytes) {
        weir_error_set(error, "%s has %zu characters and may have %zu; shorten it", what, length,
                       bytes - 1);
        return WEIR_INVALID;
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            weir_error_set(error,
                           "%s holds the byte 0x%02x at position %zu; only printable ASCII is "
                           "allowed",
                           what, (unsigned char)text[i], i + 1);
            return WEIR_INVALID;
        }
    }
    memcpy(to, text, length + 1);
    return WEIR_OK;
}

/* The value of "--name VALUE" or "--name=VALUE"; the first one counts. */
static weir_status find_option(int argc, char **argv, const char *name, const char **value,
                               weir_error *error)
{
    const size_t length = strlen(name);
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], name, length) != 0) {
            continue;
        }
        if (argv[i][length] == '=') {
            *value = argv[i] + length + 1;
            return WEIR_OK;
        }
        if (argv[i][length] == '\0') {
            if (i + 1 >= argc) {
                weir_error_set(error, "%s needs a value", name);
                return WEIR_INVALID;
            }
            *value = argv[i + 1];
            return WEIR_OK;
        }
    }
    return WEIR_OK;
}

/* Reads the token and wipes it: unsetenv alone would leave it in /proc/PID/environ. */
static weir_status take_token(uint8_t token[WEIR_TOKEN_BYTES], weir_error *error)
{
    char *text = getenv("WEIR_TOKEN");
    if (text == NULL) {
        weir_error_set(error, "the environment has no WEIR_TOKEN; a worker is started by its "
                              "manager, for example by `weir run`");
        return WEIR_NOT_FOUND;
    }
    const weir_status status = weir_token_read(text, token, error);
    explicit_bzero(text, strlen(text));
    unsetenv("WEIR_TOKEN");
    return status;
}

static weir_status take_socket(const weir_worker_options *options, int argc, char **argv,
                               weir_worker_identity *identity, weir_error *error)
{
    const char *path = NULL;
    const weir_status status = find_option(argc, argv, "--socket", &path, error);
    if (status != WEIR_OK) {
        return status;
    }
    if (path == NULL) {
        path = options->socket_path != NULL ? options->socket_path : getenv("WEIR_SOCKET");
    }
    if (path == NULL || path[0] == '\0') {
        weir_error_set(error, "no manager is named; set WEIR_SOCKET or --socket to its socket");
        return WEIR_NOT_FOUND;
    }
    const size_t length = strlen(path);
    if (length >= sizeof identity->socket_path) {
        weir_error_set(error,
                       "the socket path has %zu bytes and a socket's path has at most %zu; use a "
                       "shorter directory",
                       length, sizeof identity->socket_path - 1);
        return WEIR_INVALID;
    }
    memcpy(identity->socket_path, path, length + 1);
    return WEIR_OK;
}

static weir_status take_names(const weir_worker_options *options, int argc, char **argv,
                              weir_worker_identity *identity, weir_error *error)
{
    const char *correlation = NULL;
    weir_status status = find_option(argc, argv, "--correlation", &correlation, error);
    if (status != WEIR_OK) {
        return status;
    }
    if (correlation == NULL) {
        correlation = getenv("WEIR_CORRELATION");
    }
    status = take_text("the correlation", correlation != NULL ? correlation : "",
                       identity->correlation, sizeof identity->correlation, error);
    if (status != WEIR_OK) {
        return status;
    }
    const char *role = options->role != NULL ? options->role : DEFAULT_ROLE;
    return take_text("the role", role, identity->role, sizeof identity->role, error);
}

static weir_status take_routines(const weir_worker_options *options, weir_worker_identity *identity,
                                 weir_error *error)
{
    if (options->routine_count == 0 || options->routine_count > WEIR_OPCODE_COUNT_MAX) {
        weir_error_set(error, "the worker has %zu routines; it must have 1 to %u",
                       options->routine_count, WEIR_OPCODE_COUNT_MAX);
        return WEIR_INVALID;
    }
    for (size_t i = 0; i < options->routine_count; i++) {
        const uint16_t opcode = options->routines[i].opcode;
        if (opcode == WEIR_OPCODE_NONE || options->routines[i].run == NULL) {
            weir_error_set(error, "routine %zu of the worker has opcode %u%s; both are needed",
                           i + 1, opcode,
                           options->routines[i].run == NULL ? " and no function" : "");
            return WEIR_INVALID;
        }
        identity->opcode[i] = opcode;
    }
    identity->opcode_count = (uint32_t)options->routine_count;
    return WEIR_OK;
}

static void take_abilities(const weir_worker_options *options, weir_worker_identity *identity)
{
    const uint32_t codecs = WEIR_CAPABILITY_LZ4 | WEIR_CAPABILITY_ZSTD;
    identity->capabilities = options->capabilities != 0 ? options->capabilities & codecs : codecs;
    if (options->without_payload_crc == 0) {
        identity->capabilities |= WEIR_CAPABILITY_PAYLOAD_CRC;
    }
    identity->wake_strategies =
        options->wake_strategies != 0 ? options->wake_strategies : ALL_STRATEGIES;
    identity->timeout_ns =
        options->connect_timeout_ns != 0 ? options->connect_timeout_ns : DEFAULT_TIMEOUT_NS;
    identity->layout_major = WEIR_LAYOUT_MAJOR;
    identity->layout_minor = WEIR_LAYOUT_MINOR;
    memcpy(identity->layout_digest, weir_layout_digest, sizeof identity->layout_digest);
    identity->layout_text = weir_layout_canonical_text;
    identity->layout_bytes = (uint32_t)weir_layout_canonical_bytes;
    memcpy(identity->language, LANGUAGE, sizeof LANGUAGE);
}

weir_status weir_worker_handshake_name(const weir_worker_options *options, const char *token,
                                       const char *correlation, const char *language,
                                       weir_worker_identity *identity, weir_error *error)
{
    *identity = (weir_worker_identity){.opcode_count = 0};
    take_abilities(options, identity);
    weir_status status = take_routines(options, identity, error);
    if (status == WEIR_OK) {
        status = take_socket(options, 0, NULL, identity, error);
    }
    if (status == WEIR_OK) {
        status = take_names(options, 0, NULL, identity, error);
    }
    if (status == WEIR_OK) {
        status = take_text("the correlation", correlation, identity->correlation,
                           sizeof identity->correlation, error);
    }
    if (status == WEIR_OK) {
        status = take_text("the language", language, identity->language, sizeof identity->language,
                           error);
    }
    return status == WEIR_OK ? weir_token_read(token, identity->token, error) : status;
}

weir_status weir_worker_handshake_prepare(const weir_worker_options *options, int argc, char **argv,
                                          weir_worker_identity *identity, weir_error *error)
{
    *identity = (weir_worker_identity){.opcode_count = 0};
    take_abilities(options, identity);
    /* First of all, so that the token is wiped whatever else is wrong. */
    weir_error token_error = {.text = ""};
    const weir_status token = take_token(identity->token, &token_error);
    weir_status status = take_routines(options, identity, error);
    if (status == WEIR_OK) {
        status = take_socket(options, argc, argv, identity, error);
    }
    if (status == WEIR_OK) {
        status = take_names(options, argc, argv, identity, error);
    }
    if (status == WEIR_OK && token != WEIR_OK) {
        weir_error_set(error, "%s", token_error.text);
        status = token;
    }
    return status;
}
