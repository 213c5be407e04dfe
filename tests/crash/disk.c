/* Stands between a process and the disk (LD_PRELOAD): writes down what is done to the files below a folder, makes each
   sync slower, or lets one of them fail. How it is told: disk.py. What is made of the trace: image.py.

   A record is one struct record with its payload behind it. It is written under the same lock as the act itself, so
   the order of the records is the order of the acts; standard output is in it too, for what the process acknowledges.
   Every act goes to the kernel by its plain system call. Files that are only mapped (SQLite's -shm) are not seen. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct __attribute__((packed)) record {
    char what; /* B begins, O opens, W writes, T truncates, S syncs, R renames, L links, U unlinks, M makes a folder,
                  A acknowledges */
    int32_t fd;
    int64_t number; /* W: offset; T: size; O: 1 where the file is new */
    uint32_t length; /* of the payload: bytes written, a path, or two paths with a zero between */
};

enum { MOST_FDS = 65536, MOST_PARTS = 1024 };

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static char ours[MOST_FDS];
static const char *root;
static size_t root_length;
static int trace = -1;
static long sync_ms;

static char fails_at[8];
static long fails_in;  /* counts down to the act that fails; nought: none does */
static int fails_with; /* an errno; -1: the process is killed */
static int fails_on;   /* whether every later one fails too */
static int failed;     /* how many have */

/* What fails next: "write:7:ENOSPC", "sync:1:KILL", "act:1:EIO:on" (either of the two); empty: nothing more. */
void rvr_disk_fail(const char *told)
{
    char code[8] = "", on[4] = "";
    pthread_mutex_lock(&turn);
    fails_in = fails_on = 0;
    if (told && sscanf(told, "%7[^:]:%ld:%7[^:]:%3s", fails_at, &fails_in, code, on) >= 3) {
        fails_with = !strcmp(code, "ENOSPC") ? ENOSPC : !strcmp(code, "EIO") ? EIO : -1;
        fails_on = !strcmp(on, "on");
    }
    pthread_mutex_unlock(&turn);
}

int rvr_disk_failed(void) { return failed; }

static void record(char what, int fd, int64_t number, const struct iovec *parts, int count, size_t length)
{
    struct record head = {what, fd, number, (uint32_t)length};
    struct iovec all[MOST_PARTS];
    if (trace < 0)
        return;
    all[0] = (struct iovec){&head, sizeof head};
    for (int i = 0; i < count; i++) {
        all[i + 1] = parts[i];
        if (all[i + 1].iov_len > length)
            all[i + 1].iov_len = length; /* a short write */
        length -= all[i + 1].iov_len;
    }
    if (syscall(SYS_writev, trace, all, count + 1) < (long)sizeof head)
        abort(); /* a trace with a hole proves nothing */
}

static void record_path(char what, int fd, int64_t number, const char *path)
{
    struct iovec part = {(void *)path, strlen(path)};
    record(what, fd, number, &part, 1, part.iov_len);
}

__attribute__((constructor)) static void begin(void)
{
    const char *told = getenv("CRASH_DISK_TRACE");
    root = getenv("CRASH_DISK_ROOT");
    root_length = root ? strlen(root) : 0;
    if (told)
        trace = (int)syscall(SYS_openat, AT_FDCWD, told, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (told && trace < 0)
        abort();
    sync_ms = (told = getenv("CRASH_DISK_FSYNC_MS")) ? atol(told) : 0;
    rvr_disk_fail(getenv("CRASH_DISK_FAIL"));
    record('B', 0, 0, NULL, 0, 0);
}

static int below(const char *path)
{
    return root && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static int is_ours(int fd) { return fd >= 0 && fd < MOST_FDS && ours[fd]; }

/* Whether this act fails, with errno. Under the lock. */
static int fails(const char *at)
{
    if (fails_in <= 0 || (strcmp(fails_at, at) && strcmp(fails_at, "act")) || --fails_in)
        return 0;
    if (fails_on)
        fails_in = 1;
    if (fails_with < 0)
        kill(getpid(), SIGKILL);
    failed++;
    errno = fails_with;
    return 1;
}

static long done(long result)
{
    pthread_mutex_unlock(&turn);
    return result;
}

/* --- Opening and closing --- */

static int opened(const char *path, int flags, mode_t mode)
{
    int fd, is_new;
    if (!below(path))
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    pthread_mutex_lock(&turn);
    is_new = (flags & O_CREAT) && syscall(SYS_faccessat, AT_FDCWD, path, F_OK) != 0;
    fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fd >= 0 && fd < MOST_FDS) {
        ours[fd] = 1;
        record_path('O', fd, is_new, path);
        if ((flags & O_TRUNC) && !is_new)
            record('T', fd, 0, NULL, 0, 0);
    }
    return (int)done(fd);
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(more, mode_t) : 0;                                      \
        va_end(more);                                                                                                  \
        return opened(path, flags, mode);                                                                              \
    }
OPEN(open)
OPEN(open64)

int close(int fd)
{
    if (fd >= 0 && fd < MOST_FDS)
        ours[fd] = 0;
    return (int)syscall(SYS_close, fd);
}

/* --- Writing --- */

static ssize_t written(int fd, const struct iovec *parts, int count, off_t at)
{
    ssize_t result;
    int told = fd == STDOUT_FILENO && trace >= 0;
    if (!is_ours(fd) && !told)
        return at < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, at, 0);
    pthread_mutex_lock(&turn);
    if (!told && fails("write"))
        return done(-1);
    result = at < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, at, 0);
    if (result >= 0) {
        if (at < 0 && !told)
            at = lseek(fd, 0, SEEK_CUR) - result;
        record(told ? 'A' : 'W', fd, at, parts, count, (size_t)result);
    }
    return done(result);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    struct iovec part = {(void *)bytes, length};
    return written(fd, &part, 1, -1);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at)
{
    struct iovec part = {(void *)bytes, length};
    return written(fd, &part, 1, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return pwrite64(fd, bytes, length, at); }
ssize_t writev(int fd, const struct iovec *parts, int count) { return written(fd, parts, count, -1); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) { return written(fd, parts, count, at); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) { return written(fd, parts, count, at); }

int ftruncate64(int fd, off64_t size)
{
    int result;
    if (!is_ours(fd))
        return (int)syscall(SYS_ftruncate, fd, size);
    pthread_mutex_lock(&turn);
    if (fails("write"))
        return (int)done(-1);
    result = (int)syscall(SYS_ftruncate, fd, size);
    if (!result)
        record('T', fd, size, NULL, 0, 0);
    return (int)done(result);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int truncate64(const char *path, off64_t size)
{
    int fd = opened(path, O_WRONLY | O_CLOEXEC, 0), result = fd < 0 ? -1 : ftruncate64(fd, size), kept = errno;
    if (fd >= 0)
        close(fd);
    errno = kept;
    return result;
}

int truncate(const char *path, off_t size) { return truncate64(path, size); }

/* --- Syncing --- */

static int synced(int fd, long call)
{
    int result;
    struct timespec wait = {sync_ms / 1000, sync_ms % 1000 * 1000000};
    if (sync_ms)
        nanosleep(&wait, NULL);
    if (!is_ours(fd))
        return (int)syscall(call, fd);
    pthread_mutex_lock(&turn);
    if (fails("sync"))
        return (int)done(-1);
    result = (int)syscall(call, fd);
    if (!result)
        record('S', fd, 0, NULL, 0, 0);
    return (int)done(result);
}

int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }

/* --- Names --- */

static int renamed(char what, const char *from, const char *to)
{
    char both[8192];
    struct iovec part = {both, (size_t)snprintf(both, sizeof both, "%s%c%s", from, 0, to)};
    int result;
    pthread_mutex_lock(&turn);
    result = (int)(what == 'L' ? syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0)
                               : syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0));
    if (!result && below(from) && below(to))
        record(what, 0, 0, &part, 1, part.iov_len);
    return (int)done(result);
}

int rename(const char *from, const char *to) { return renamed('R', from, to); }
int link(const char *from, const char *to) { return renamed('L', from, to); }

int unlink(const char *path)
{
    int result;
    pthread_mutex_lock(&turn);
    result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (!result && below(path))
        record_path('U', 0, 0, path);
    return (int)done(result);
}

int mkdir(const char *path, mode_t mode)
{
    int result;
    pthread_mutex_lock(&turn);
    result = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (!result && below(path))
        record_path('M', 0, 0, path);
    return (int)done(result);
}
