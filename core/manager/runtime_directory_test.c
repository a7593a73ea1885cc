#include "manager/runtime_directory.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/os.h"
#include "harness/testing/weir_test.h"

typedef struct place {
    char base[64];
    char path[96];
    int lock_fd;
    weir_error error;
} place;

static void make_base(place *place)
{
    memset(place, 0, sizeof *place);
    place->lock_fd = -1;
    snprintf(place->base, sizeof place->base, "/tmp/weir-place-XXXXXX");
    WEIR_EXPECT_NOT_NULL(mkdtemp(place->base));
}

static weir_status open_in(place *place, const char *base)
{
    return weir_runtime_directory_open(base, place->path, sizeof place->path, &place->lock_fd,
                                       &place->error);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

WEIR_TEST(runtime_directory, is_private_and_gone_afterwards)
{
    place place;
    make_base(&place);
    WEIR_EXPECT_STATUS(open_in(&place, place.base), WEIR_OK);
    struct stat info;
    WEIR_EXPECT_EQ(stat(place.path, &info), 0);
    WEIR_EXPECT_EQ(info.st_mode & 0777, 0700);
    WEIR_EXPECT_EQ(strncmp(place.path, place.base, strlen(place.base)), 0);
    char socket[128];
    snprintf(socket, sizeof socket, "%s/manager.sock", place.path);
    close(open(socket, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    weir_runtime_directory_close(place.path, place.lock_fd);
    WEIR_EXPECT_FALSE(exists(place.path));
    WEIR_EXPECT_EQ(rmdir(place.base), 0);
}

WEIR_TEST(runtime_directory, is_gone_afterwards_even_when_no_descriptor_is_left)
{
    place place;
    struct rlimit limit;
    make_base(&place);
    WEIR_EXPECT_STATUS(open_in(&place, place.base), WEIR_OK);
    /* The lock took the lowest number that was free, so that below it there is none. */
    WEIR_EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
    const rlim_t before = limit.rlim_cur;
    limit.rlim_cur = (rlim_t)place.lock_fd + 1;
    WEIR_EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    const int none = open("/dev/null", O_RDONLY | O_CLOEXEC);
    weir_runtime_directory_close(place.path, place.lock_fd);
    limit.rlim_cur = before;
    WEIR_EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
    WEIR_EXPECT_EQ(none, -1);
    WEIR_EXPECT_FALSE(exists(place.path));
    WEIR_EXPECT_EQ(rmdir(place.base), 0);
}

WEIR_TEST(runtime_directory, follows_the_environment)
{
    place place;
    make_base(&place);
    char session[80];
    char expected[128];
    snprintf(session, sizeof session, "%s/session", place.base);
    mkdir(session, 0700);
    setenv("WEIR_RUNTIME_DIR", place.base, 1);
    setenv("XDG_RUNTIME_DIR", session, 1);
    WEIR_EXPECT_STATUS(open_in(&place, NULL), WEIR_OK);
    snprintf(expected, sizeof expected, "%s/m-", place.base);
    WEIR_EXPECT_STR_HAS(place.path, expected);
    weir_runtime_directory_close(place.path, place.lock_fd);

    setenv("WEIR_RUNTIME_DIR", "", 1); /* Empty counts as not set. */
    WEIR_EXPECT_STATUS(open_in(&place, NULL), WEIR_OK);
    snprintf(expected, sizeof expected, "%s/weir/m-", session);
    WEIR_EXPECT_STR_HAS(place.path, expected);
    weir_runtime_directory_close(place.path, place.lock_fd);

    unsetenv("WEIR_RUNTIME_DIR");
    unsetenv("XDG_RUNTIME_DIR");
    WEIR_EXPECT_STATUS(open_in(&place, NULL), WEIR_OK);
    snprintf(expected, sizeof expected, "/tmp/weir-%u/m-", (unsigned)geteuid());
    WEIR_EXPECT_STR_HAS(place.path, expected);
    weir_runtime_directory_close(place.path, place.lock_fd);

    char made[96];
    snprintf(made, sizeof made, "%s/weir", session);
    rmdir(made);
    rmdir(session);
    WEIR_EXPECT_EQ(rmdir(place.base), 0);
}

WEIR_TEST(runtime_directory, refuses_what_is_no_directory)
{
    place place;
    make_base(&place);
    char file[80];
    snprintf(file, sizeof file, "%s/file", place.base);
    close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    WEIR_EXPECT_STATUS(open_in(&place, file), WEIR_INVALID);
    WEIR_EXPECT_STR_HAS(place.error.text, "is not a directory; remove it or set WEIR_RUNTIME_DIR");
    char link[80];
    snprintf(link, sizeof link, "%s/link", place.base);
    WEIR_EXPECT_EQ(symlink(place.base, link), 0); /* Somebody else could turn it elsewhere. */
    WEIR_EXPECT_STATUS(open_in(&place, link), WEIR_INVALID);
    unlink(link);
    unlink(file);
    rmdir(place.base);
}

WEIR_TEST(runtime_directory, refuses_a_mode_that_lets_others_in)
{
    place place;
    make_base(&place);
    chmod(place.base, 0755);
    WEIR_EXPECT_STATUS(open_in(&place, place.base), WEIR_INVALID);
    WEIR_EXPECT_STR_HAS(place.error.text, "has mode 755");
    WEIR_EXPECT_STR_HAS(place.error.text, "chmod 700");
    rmdir(place.base);
}

static uid_t another_user(void)
{
    return geteuid() + 1;
}

WEIR_TEST(runtime_directory, refuses_the_directory_of_another_user)
{
    place place;
    make_base(&place);
    weir_os_table table = *weir_os_linux();
    table.geteuid = another_user;
    weir_os_replace(&table);
    WEIR_EXPECT_STATUS(open_in(&place, place.base), WEIR_INVALID);
    weir_os_replace(NULL);
    WEIR_EXPECT_STR_HAS(place.error.text, "belongs to user");
    rmdir(place.base);
}

WEIR_TEST(runtime_directory, says_when_paths_become_too_long)
{
    place place;
    make_base(&place);
    char longer[400];
    snprintf(longer, sizeof longer, "%s/%060d", place.base, 0);
    WEIR_EXPECT_STATUS(open_in(&place, longer), WEIR_INVALID);
    WEIR_EXPECT_STR_HAS(place.error.text, "set WEIR_RUNTIME_DIR to a shorter one");
    WEIR_EXPECT_EQ(rmdir(longer), 0);
    snprintf(longer, sizeof longer, "%s/%0300d", place.base, 0);
    WEIR_EXPECT_STATUS(open_in(&place, longer), WEIR_INVALID);
    WEIR_EXPECT_STR_HAS(place.error.text, "longer than 255 bytes");
    rmdir(place.base);
}

WEIR_TEST(runtime_directory, says_when_it_cannot_be_made)
{
    place place;
    make_base(&place);
    char deeper[128];
    snprintf(deeper, sizeof deeper, "%s/missing/deeper", place.base);
    WEIR_EXPECT_STATUS(open_in(&place, deeper), WEIR_SYSTEM);
    WEIR_EXPECT_STR_HAS(place.error.text, "cannot make the runtime directory");
    WEIR_EXPECT_STR_HAS(place.error.text, "set WEIR_RUNTIME_DIR");
    rmdir(place.base);
}

/* A process that makes a directory and a memory object as a manager does, and is killed. */
static void be_killed(void *context)
{
    place *place = context;
    if (open_in(place, place->base) != WEIR_OK) {
        _exit(1);
    }
    char name[64];
    snprintf(name, sizeof name, "/weir-%d-1-a", (int)getpid());
    if (shm_open(name, O_CREAT | O_RDWR, 0600) < 0) {
        _exit(2);
    }
    raise(SIGKILL);
}

WEIR_TEST(runtime_directory, of_a_killed_manager_is_swept_with_its_memory)
{
    place dead;
    make_base(&dead);
    const pid_t pid = weir_test_fork(be_killed, &dead);
    WEIR_EXPECT_EQ(weir_test_wait(pid, weir_test_deadline(10)), 128 + SIGKILL);
    char memory[64];
    snprintf(memory, sizeof memory, "/dev/shm/weir-%d-1-a", (int)pid);
    WEIR_EXPECT_TRUE(exists(memory));
    char found[128] = "";
    FILE *listing = NULL;
    char command[128];
    snprintf(command, sizeof command, "ls -d %s/m-%d-*", dead.base, (int)pid);
    listing = popen(command, "r");
    WEIR_EXPECT_NOT_NULL(fgets(found, sizeof found, listing));
    pclose(listing);
    found[strcspn(found, "\n")] = '\0';
    WEIR_EXPECT_TRUE(exists(found));

    place place = dead;
    WEIR_EXPECT_STATUS(open_in(&place, place.base), WEIR_OK);
    WEIR_EXPECT_FALSE(exists(found));
    WEIR_EXPECT_FALSE(exists(memory));
    weir_runtime_directory_close(place.path, place.lock_fd);
    WEIR_EXPECT_EQ(rmdir(place.base), 0);
}

WEIR_TEST(runtime_directory, of_a_living_manager_is_left_alone)
{
    place living;
    make_base(&living);
    WEIR_EXPECT_STATUS(open_in(&living, living.base), WEIR_OK);
    char memory[64];
    snprintf(memory, sizeof memory, "/weir-%d-9-a", (int)getpid());
    const int fd = shm_open(memory, O_CREAT | O_RDWR, 0600);
    WEIR_EXPECT_GE(fd, 0);
    place other = living;
    WEIR_EXPECT_STATUS(open_in(&other, other.base), WEIR_OK);
    WEIR_EXPECT_TRUE(exists(living.path));
    WEIR_EXPECT_STR_EQ(strncmp(living.path, other.path, sizeof living.path) == 0 ? "same" : "other",
                       "other");
    WEIR_EXPECT_EQ(shm_unlink(memory), 0); /* It was still there. */
    close(fd);
    weir_runtime_directory_close(other.path, other.lock_fd);
    weir_runtime_directory_close(living.path, living.lock_fd);
    WEIR_EXPECT_EQ(rmdir(living.base), 0);
}

static void open_and_close_often(void *context)
{
    place *place = context;
    for (int i = 0; i < 150; i++) {
        if (open_in(place, place->base) != WEIR_OK) {
            fprintf(stderr, "%s\n", place->error.text);
            _exit(1);
        }
        if (access(place->path, F_OK) != 0) {
            _exit(2);
        }
        weir_runtime_directory_close(place->path, place->lock_fd);
    }
}

WEIR_TEST(runtime_directory, can_be_made_by_several_at_the_same_moment)
{
    place place;
    make_base(&place);
    pid_t pids[4];
    for (size_t i = 0; i < 4; i++) {
        pids[i] = weir_test_fork(open_and_close_often, &place);
    }
    for (size_t i = 0; i < 4; i++) {
        WEIR_EXPECT_EQ(weir_test_wait(pids[i], weir_test_deadline(30)), 0);
    }
    WEIR_EXPECT_EQ(rmdir(place.base), 0);
}
