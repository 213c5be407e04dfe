/* A network line that is bad on purpose, for kernels without netem: two TUN ends, each in a network namespace of its
   own, and this process between them. How it is told what the line is like: network.py.

       link NETNS_A IF_A NETNS_B IF_B SEED

   On standard input, a line each, answered by "ok" or by counts:

       a|b loss_ppm=N delay_us=N jitter_us=N kbit=N queue_bytes=N     the way from that end; what is not named stays
       cut | mend                                                     nothing passes; it passes again
       count                                                          since the last time

   A packet first waits for the line to be free (kbit; 0 is without limit) behind at most queue_bytes others, then takes
   delay_us and up to jitter_us more. The order is kept, as radio links keep it. What is under way when the line is cut
   is lost. The same seed loses the same packets of the same course. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { MOST_BYTES = 2048, MOST_PACKETS = 16384 };

struct packet {
    int64_t due_ns;
    uint16_t length;
    unsigned char bytes[MOST_BYTES];
};

struct way {
    int from, to;
    long loss_ppm, delay_us, jitter_us, kbit, queue_bytes;
    int64_t free_ns; /* when the line has sent all that it took so far */
    int64_t last_ns; /* when the last packet under way is due */
    struct packet *ring;
    unsigned first, count;
    long passed, passed_bytes, lost, overflowed, cut;
};

static uint64_t state;
static int is_cut;

static int64_t now_ns(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators". */
static uint64_t drawn(uint64_t below)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return ((state * 2685821657736338717ULL) >> 32) % below;
}

static int fail(const char *what)
{
    fprintf(stderr, "link: %s: %s\n", what, strerror(errno));
    return -1;
}

static int end_in(const char *netns, const char *name)
{
    struct ifreq request = {0};
    int space = open(netns, O_RDONLY | O_CLOEXEC), tun;
    if (space < 0 || setns(space, CLONE_NEWNET) < 0) return fail(netns);
    close(space);
    tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tun < 0) return fail("/dev/net/tun");
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    return ioctl(tun, TUNSETIFF, &request) < 0 ? fail(name) : tun;
}

static void take(struct way *way, int64_t now)
{
    struct packet *packet = &way->ring[(way->first + way->count) % MOST_PACKETS];
    ssize_t length;
    while ((length = read(way->from, packet->bytes, MOST_BYTES)) > 0) {
        int64_t start = way->free_ns > now ? way->free_ns : now;
        int64_t due;
        if (is_cut) {
            way->cut++;
            continue;
        }
        if (way->loss_ppm && drawn(1000000) < (uint64_t)way->loss_ppm) {
            way->lost++;
            continue;
        }
        if (way->count == MOST_PACKETS || (way->kbit && (start - now) / 8000 * way->kbit / 1000 > way->queue_bytes)) {
            way->overflowed++;
            continue;
        }
        if (way->kbit) start += length * 8 * 1000000LL / way->kbit;
        way->free_ns = start;
        due = start + way->delay_us * 1000 + (way->jitter_us ? (int64_t)drawn(way->jitter_us) * 1000 : 0);
        if (due < way->last_ns) due = way->last_ns;
        way->last_ns = packet->due_ns = due;
        packet->length = length;
        way->count++;
        packet = &way->ring[(way->first + way->count) % MOST_PACKETS];
    }
}

static void hand_over(struct way *way, int64_t now)
{
    while (way->count && way->ring[way->first].due_ns <= now) {
        struct packet *packet = &way->ring[way->first];
        if (write(way->to, packet->bytes, packet->length) == packet->length) {
            way->passed++;
            way->passed_bytes += packet->length;
        }
        way->first = (way->first + 1) % MOST_PACKETS;
        way->count--;
    }
}

static void forget(struct way *way)
{
    way->cut += way->count;
    way->count = 0;
    way->free_ns = way->last_ns = 0;
}

static void tell(struct way *way, const char *name)
{
    printf("%s passed=%ld bytes=%ld lost=%ld overflowed=%ld cut=%ld ", name, way->passed, way->passed_bytes, way->lost,
           way->overflowed, way->cut);
    way->passed = way->passed_bytes = way->lost = way->overflowed = way->cut = 0;
}

static int obey(char *line, struct way ways[2])
{
    char *word = strtok(line, " \n"), *value;
    struct way *way = word && !strcmp(word, "a") ? &ways[0] : word && !strcmp(word, "b") ? &ways[1] : NULL;
    if (!word) return -1;
    if (!strcmp(word, "cut")) {
        is_cut = 1;
        forget(&ways[0]);
        forget(&ways[1]);
    } else if (!strcmp(word, "mend")) {
        is_cut = 0;
    } else if (!strcmp(word, "count")) {
        tell(&ways[0], "a");
        tell(&ways[1], "b");
        return 1;
    } else if (!way) {
        return -1;
    }
    while (way && (word = strtok(NULL, " \n"))) {
        if (!(value = strchr(word, '='))) return -1;
        *value++ = 0;
        if (!strcmp(word, "loss_ppm")) way->loss_ppm = atol(value);
        else if (!strcmp(word, "delay_us")) way->delay_us = atol(value);
        else if (!strcmp(word, "jitter_us")) way->jitter_us = atol(value);
        else if (!strcmp(word, "kbit")) way->kbit = atol(value);
        else if (!strcmp(word, "queue_bytes")) way->queue_bytes = atol(value);
        else return -1;
    }
    return 0;
}

int main(int given, char **argument)
{
    struct way ways[2] = {0};
    char line[512];
    if (given != 6) return 2;
    state = strtoull(argument[5], NULL, 10) * 2 + 1;
    ways[0].from = ways[1].to = end_in(argument[1], argument[2]);
    ways[1].from = ways[0].to = end_in(argument[3], argument[4]);
    if (ways[0].from < 0 || ways[1].from < 0) return 1;
    for (int i = 0; i < 2; i++)
        if (!(ways[i].ring = malloc(sizeof(struct packet) * MOST_PACKETS))) return 1;
    setvbuf(stdout, NULL, _IOLBF, 0);
    printf("ready\n");
    for (;;) {
        struct pollfd watched[3] = {{ways[0].from, POLLIN, 0}, {ways[1].from, POLLIN, 0}, {0, POLLIN, 0}};
        struct timespec wait = {0}, *until = NULL;
        int64_t now = now_ns(), next = INT64_MAX;
        for (int i = 0; i < 2; i++)
            if (ways[i].count && ways[i].ring[ways[i].first].due_ns < next) next = ways[i].ring[ways[i].first].due_ns;
        if (next != INT64_MAX) {
            int64_t left = next > now ? next - now : 0;
            wait.tv_sec = left / 1000000000LL;
            wait.tv_nsec = left % 1000000000LL;
            until = &wait;
        }
        if (ppoll(watched, 3, until, NULL) < 0 && errno != EINTR) return 1;
        now = now_ns();
        for (int i = 0; i < 2; i++) {
            take(&ways[i], now);
            hand_over(&ways[i], now);
        }
        if (watched[2].revents) {
            int told;
            if (!fgets(line, sizeof line, stdin)) return 0; /* whoever started us has gone */
            told = obey(line, ways);
            printf(told < 0 ? "what\n" : told ? "\n" : "ok\n");
        }
    }
}
