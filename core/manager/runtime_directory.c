#include "manager/runtime_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "base/os.h"

#define LOCK_NAME     "lock"
#define PREFIX        "m-"
#define SHM_DIRECTORY "/dev/shm"
#define PRIVATE_TRIES 32

static weir_status default_base(char *base, size_t bytes)
{
    const char *named = getenv("WEIR_RUNTIME_DIR");
    const char *session = getenv("XDG_RUNTIME_DIR");
    int written;
    if (named != NULL && named[0] != '\0') {
        written = snprintf(base, bytes, "%s", named);
    } else if (session != NULL && session[0] != '\0') {
        written = snprintf(base, bytes, "%s/weir", session);
    } else {
        written = snprintf(base, bytes, "/tmp/weir-%u", (unsigned)weir_os()->geteuid());
    }
    return written >= 0 && (size_t)written < bytes ? WEIR_OK : WEIR_INVALID;
}

static weir_status make_base(const char *base, weir_error *error)
{
    if (weir_os()->mkdir(base, 0700) != 0 && errno != EEXIST) {
        const int code = errno;
        char doing[256];
        snprintf(doing, sizeof doing, "cannot make the runtime directory %.180s", base);
        return weir_error_system(error, code, doing,
                                 "set WEIR_RUNTIME_DIR to a place where you may write");
    }
    return WEIR_OK;
}

static weir_status check_base(const char *base, weir_error *error)
{
    struct stat info;
    if (weir_os()->lstat(base, &info) != 0 || !S_ISDIR(info.st_mode)) {
        weir_error_set(error, "%s is not a directory; remove it or set WEIR_RUNTIME_DIR", base);
        return WEIR_INVALID;
    }
    if (info.st_uid != weir_os()->geteuid()) {
        weir_error_set(
            error,
            "%s belongs to user %u, not to you; set WEIR_RUNTIME_DIR to a directory of your own",
            base, (unsigned)info.st_uid);
        return WEIR_INVALID;
    }
    if ((info.st_mode & 077) != 0) {
        weir_error_set(error, "%s has mode %03o, others could reach in; run chmod 700 on it", base,
                       (unsigned)(info.st_mode & 0777));
        return WEIR_INVALID;
    }
    return WEIR_OK;
}

static void remove_tree(const char *path)
{
    DIR *directory = weir_os()->opendir(path);
    if (directory == NULL) {
        return;
    }
    struct dirent *entry;
    while ((entry = weir_os()->readdir(directory)) != NULL) {
        char name[512];
        if (entry->d_name[0] != '.' &&
            (size_t)snprintf(name, sizeof name, "%s/%s", path, entry->d_name) < sizeof name) {
            (void)weir_os()->unlink(name);
        }
    }
    (void)weir_os()->closedir(directory);
    (void)weir_os()->rmdir(path);
}

/* Objects are named after the manager's process id, see core/memory; that process is known to be
 * gone. */
static void remove_shared_memory(const char *pid)
{
    char prefix[64];
    const int length = snprintf(prefix, sizeof prefix, "weir-%s-", pid);
    DIR *directory = weir_os()->opendir(SHM_DIRECTORY);
    if (directory == NULL) {
        return;
    }
    struct dirent *entry;
    while ((entry = weir_os()->readdir(directory)) != NULL) {
        if (strncmp(entry->d_name, prefix, (size_t)length) == 0) {
            char name[NAME_MAX + 2];
            snprintf(name, sizeof name, "/%s", entry->d_name);
            (void)weir_os()->shm_unlink(name);
        }
    }
    (void)weir_os()->closedir(directory);
}

static int lock_of(const char *path, int flags)
{
    char name[512];
    if ((size_t)snprintf(name, sizeof name, "%s/" LOCK_NAME, path) >= sizeof name) {
        errno = ENAMETOOLONG;
        return -1;
    }
    const int fd = weir_os()->open(name, O_RDWR | flags, 0600);
    if (fd >= 0 && weir_os()->flock(fd, LOCK_EX | LOCK_NB) != 0) {
        const int code = errno;
        (void)weir_os()->close(fd);
        errno = code;
        return -1;
    }
    return fd;
}

static void sweep_one(const char *base, const char *name)
{
    char path[512];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", base, name) >= sizeof path) {
        return;
    }
    const int fd = lock_of(path, 0);
    if (fd < 0) {
        if (errno == ENOENT) { /* Killed between mkdir and the lock, or half removed. */
            (void)weir_os()->rmdir(path);
        }
        return;
    }
    char pid[32];
    snprintf(pid, sizeof pid, "%.*s", (int)strcspn(name + strlen(PREFIX), "-"),
             name + strlen(PREFIX));
    remove_shared_memory(pid);
    remove_tree(path);
    (void)weir_os()->close(fd);
}

static void sweep(const char *base)
{
    DIR *directory = weir_os()->opendir(base);
    if (directory == NULL) {
        return;
    }
    struct dirent *entry;
    while ((entry = weir_os()->readdir(directory)) != NULL) {
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0) {
            sweep_one(base, entry->d_name);
        }
    }
    (void)weir_os()->closedir(directory);
}

/* A manager that starts at the same moment may take a directory without a held lock for a dead
 * one's and remove it: ours is only ours if its lock file is still there once we hold it. */
static bool is_still_there(const char *path, int lock_fd)
{
    char name[512];
    struct stat held;
    struct stat named;
    (void)snprintf(name, sizeof name, "%s/" LOCK_NAME, path);
    return weir_os()->fstat(lock_fd, &held) == 0 && weir_os()->lstat(name, &named) == 0 &&
           held.st_ino == named.st_ino && held.st_dev == named.st_dev;
}

/* One try. WEIR_EMPTY: somebody swept it away meanwhile. */
static weir_status try_private(const char *path, int *lock_fd, weir_error *error)
{
    static const char fix[] = "check space and permissions of the runtime directory";
    if (weir_os()->mkdir(path, 0700) != 0) {
        return weir_error_system(error, errno, "cannot make the manager's private directory", fix);
    }
    *lock_fd = lock_of(path, O_CREAT | O_EXCL);
    if (*lock_fd < 0) {
        const int code = errno;
        if (code == ENOENT || code == EWOULDBLOCK) {
            return WEIR_EMPTY;
        }
        (void)weir_os()->rmdir(path);
        return weir_error_system(error, code, "cannot lock the manager's private directory", fix);
    }
    if (!is_still_there(path, *lock_fd)) {
        (void)weir_os()->close(*lock_fd);
        *lock_fd = -1;
        return WEIR_EMPTY;
    }
    return WEIR_OK;
}

static weir_status make_private(const char *base, char *path, size_t path_bytes, int *lock_fd,
                                weir_error *error)
{
    for (int i = 0; i < PRIVATE_TRIES; i++) {
        uint32_t random = 0;
        if (weir_os()->random_bytes(&random, sizeof random) != 0) {
            return weir_error_system(error, errno, "cannot get random bytes", NULL);
        }
        const int written = snprintf(path, path_bytes, "%s/" PREFIX "%d-%08" PRIx32, base,
                                     (int)weir_os()->getpid(), random);
        if (written < 0 || (size_t)written >= path_bytes) {
            weir_error_set(error,
                           "the runtime directory %s makes paths longer than %zu bytes; set "
                           "WEIR_RUNTIME_DIR to a shorter one",
                           base, path_bytes - 1);
            return WEIR_INVALID;
        }
        const weir_status status = try_private(path, lock_fd, error);
        if (status != WEIR_EMPTY) {
            return status;
        }
    }
    weir_error_set(error, "other managers keep removing the new directories in %s; start again",
                   base);
    return WEIR_SYSTEM;
}

weir_status weir_runtime_directory_name(const char *base, char *path, size_t path_bytes,
                                        weir_error *error)
{
    if (base != NULL) {
        const int written = snprintf(path, path_bytes, "%s", base);
        if (written < 0 || (size_t)written >= path_bytes) {
            weir_error_set(
                error,
                "the runtime directory's path is longer than %zu bytes; choose a shorter one",
                path_bytes - 1);
            return WEIR_INVALID;
        }
    } else if (default_base(path, path_bytes) != WEIR_OK) {
        weir_error_set(error,
                       "the runtime directory's path is longer than %zu bytes; set "
                       "WEIR_RUNTIME_DIR to a shorter one",
                       path_bytes - 1);
        return WEIR_INVALID;
    }
    return WEIR_OK;
}

weir_status weir_runtime_directory_open(const char *base, char *path, size_t path_bytes,
                                        int *lock_fd, weir_error *error)
{
    char chosen[256];
    *lock_fd = -1;
    weir_status status = weir_runtime_directory_name(base, chosen, sizeof chosen, error);
    if (status == WEIR_OK) {
        status = make_base(chosen, error);
    }
    if (status == WEIR_OK) {
        status = check_base(chosen, error);
    }
    if (status != WEIR_OK) {
        return status;
    }
    sweep(chosen);
    return make_private(chosen, path, path_bytes, lock_fd, error);
}

weir_status weir_runtime_directory_walk(const char *base, weir_runtime_directory_visit visit,
                                        void *context, weir_error *error)
{
    char chosen[256];
    struct stat info;
    weir_status status = weir_runtime_directory_name(base, chosen, sizeof chosen, error);
    if (status != WEIR_OK) {
        return status;
    }
    if (weir_os()->lstat(chosen, &info) != 0 && errno == ENOENT) {
        weir_error_set(error, "there is no runtime directory %s; no manager has run there", chosen);
        return WEIR_NOT_FOUND;
    }
    status = check_base(chosen, error);
    if (status != WEIR_OK) {
        return status;
    }
    DIR *directory = weir_os()->opendir(chosen);
    if (directory == NULL) {
        return weir_error_system(error, errno, "cannot list the runtime directory", NULL);
    }
    struct dirent *entry;
    bool goes_on = true;
    while (goes_on && (entry = weir_os()->readdir(directory)) != NULL) {
        char path[512];
        if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 &&
            (size_t)snprintf(path, sizeof path, "%s/%s", chosen, entry->d_name) < sizeof path) {
            goes_on = visit(context, path);
        }
    }
    (void)weir_os()->closedir(directory);
    return WEIR_OK;
}

bool weir_runtime_directory_is_alive(const char *path)
{
    char name[512];
    if ((size_t)snprintf(name, sizeof name, "%s/" LOCK_NAME, path) >= sizeof name) {
        return false;
    }
    const int fd = weir_os()->open(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    /* Shared, so that two who watch do not take each other for the manager. */
    const bool is_held = weir_os()->flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    (void)weir_os()->close(fd);
    return is_held;
}

int weir_runtime_directory_pid(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0) {
        return 0;
    }
    const long pid = strtol(name + strlen(PREFIX), NULL, 10);
    return pid > 0 && pid <= INT32_MAX ? (int)pid : 0;
}

void weir_runtime_directory_close(const char *path, int lock_fd)
{
    if (lock_fd < 0) {
        return;
    }
    remove_tree(path);
    (void)weir_os()->close(lock_fd);
    /* Listing a directory takes a descriptor; with none left, this one was the last. */
    remove_tree(path);
}
