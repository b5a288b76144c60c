/* SPDX-License-Identifier: Apache-2.0
 *
 * What Aurora has and MariaDB has not: accounts whose password is a token of IAM, and a read-only variable of
 * the storage engine that tells a reader from the writer.
 *
 * The region's daemon compiles this when it starts. The structures are those that MariaDB 10.11 gives to and
 * takes from plugins; only what is used has a name.
 */
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define API_VERSION 0x010f
#define AUTHENTICATION 7
#define AUTHENTICATION_VERSION 0x0202
#define STABLE 5
#define READ_ONLY_TEXT 0x0a05 /* a string; neither SET nor the command line changes it */
#define LICENCE_OTHER 0
#define OVER_TCP 1
#define REFUSED 0
#define ACCEPTED (-1)
#define LONGEST_NAME 512
#define LONGEST_TOKEN 65536
#define CLIENT_MS 10000
#define TLS_APPLICATION_DATA 0x17
#define TLS_MAJOR 3

typedef struct {
    int protocol;
    int socket;
} Connection;

typedef struct Wire {
    int (*read)(struct Wire *, unsigned char **);
    int (*write)(struct Wire *, const unsigned char *, int);
    void (*describe)(struct Wire *, Connection *);
} Wire;

typedef struct {
    const char *user;
    unsigned user_length;
    const char *given_as;
    unsigned long given_as_length;
    char authenticated_as[LONGEST_NAME + 1];
    char external_user[LONGEST_NAME + 1];
    int password_used;
    const char *host;
    unsigned host_length;
    void *session;
} Login;

typedef struct {
    int version;
    const char *client_plugin;
    int (*authenticate)(Wire *, Login *);
    int (*hash)(const char *, size_t, char *, size_t *);
    int (*prepare)(const char *, size_t, unsigned char *, size_t *);
} Authentication;

typedef struct {
    int flags;
    const char *name;
    const char *comment;
    void *check;
    void *update;
    void *value;
    const char *initially;
} Variable;

typedef struct {
    int type;
    void *info;
    const char *name;
    const char *author;
    const char *description;
    int licence;
    int (*init)(void *);
    int (*end)(void *);
    unsigned version;
    void *status;
    Variable **variables;
    const char *version_text;
    unsigned maturity;
} Plugin;

/* Of the server: the plugins that are built into it, its variable @@read_only, and which socket it connects
   to as a client of "localhost". */
extern Plugin *mysql_mandatory_plugins[];
extern Plugin *mysql_optional_plugins[];
extern char read_only;
extern char *mysql_unix_port;

static int is_encrypted(int client)
{
    /* The client has been asked for its token and the answer not yet read: see what it begins with. */
    unsigned char start[2];
    struct pollfd waiting = {client, POLLIN, 0};

    if (poll(&waiting, 1, CLIENT_MS) != 1 || recv(client, start, 2, MSG_PEEK | MSG_WAITALL) != 2)
        return 0;
    return start[0] == TLS_APPLICATION_DATA && start[1] == TLS_MAJOR;
}

static int say(int judge, const char *text, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(judge, text, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return 0;
        text += sent;
        length -= (size_t)sent;
    }
    return 1;
}

/* Ask the region, at the socket that the environment names, whether the token lets this user in. */
static int is_allowed(const char *user, size_t user_length, const char *token, size_t token_length)
{
    struct sockaddr_un place = {AF_UNIX, ""};
    const char *path = getenv("SLIPWAY_TOKENS");
    char answer = 'n';
    int judge;

    if (path == NULL || strlen(path) >= sizeof place.sun_path)
        return 0;
    strcpy(place.sun_path, path);
    judge = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (judge < 0)
        return 0;
    if (connect(judge, (struct sockaddr *)&place, sizeof place) == 0 && say(judge, user, user_length) &&
        say(judge, "\n", 1) && say(judge, token, token_length) && shutdown(judge, SHUT_WR) == 0 &&
        recv(judge, &answer, 1, 0) != 1)
        answer = 'n';
    close(judge);
    return answer == 'y';
}

static int authenticate(Wire *wire, Login *login)
{
    Connection connection = {0, -1};
    unsigned char *packet;
    size_t length;
    int is_private, got;

    wire->describe(wire, &connection);
    login->password_used = 1;
    if (connection.protocol != OVER_TCP || wire->write(wire, (const unsigned char *)"", 0) != 0)
        return REFUSED;
    is_private = is_encrypted(connection.socket);
    got = wire->read(wire, &packet);
    if (!is_private || got <= 0 || got > LONGEST_TOKEN)
        return REFUSED;
    length = strnlen((const char *)packet, (size_t)got);
    return is_allowed(login->user, login->user_length, (const char *)packet, length) ? ACCEPTED : REFUSED;
}

static void show_read_only(Plugin **plugins)
{
    Variable **variable;

    for (; *plugins != NULL; plugins++) {
        if (strcmp((*plugins)->name, "InnoDB") != 0)
            continue;
        for (variable = (*plugins)->variables; *variable != NULL; variable++)
            if (strcmp((*variable)->name, "read_only") == 0 ||
                strcmp((*variable)->name, "innodb_read_only") == 0)
                (*variable)->value = &read_only;
    }
}

/* Let @@innodb_read_only say what @@read_only says; the storage engine itself does not look at it again.
   Let replication reach the writer at a socket: Aurora's members share their storage beside the VPC. */
static int start(void *plugin)
{
    (void)plugin;
    mysql_unix_port = getenv("SLIPWAY_WRITER");
    show_read_only(mysql_mandatory_plugins);
    show_read_only(mysql_optional_plugins);
    return 0;
}

static int refuse(Wire *wire, Login *login)
{
    (void)wire;
    (void)login;
    return REFUSED;
}

static char *version, *server_id;
static Variable of_version = {READ_ONLY_TEXT, "version", "The version of Aurora", NULL, NULL, &version, NULL};
static Variable of_server = {READ_ONLY_TEXT, "server_id", "The instance", NULL, NULL, &server_id, NULL};
static Variable *variables[] = {&of_version, &of_server, NULL};

static int fill(void *plugin)
{
    (void)plugin;
    version = getenv("SLIPWAY_VERSION");
    server_id = getenv("SLIPWAY_MEMBER");
    return 0;
}

/* Variables are named after their plugin. This one lets nobody in: of the kinds of plugins, those for
   authentication fit every release of the server. */
static Authentication nobody = {AUTHENTICATION_VERSION, NULL, refuse, NULL, NULL};
static Authentication tokens = {AUTHENTICATION_VERSION, "mysql_clear_password", authenticate, NULL, NULL};

int _maria_plugin_interface_version_ = API_VERSION;
int _maria_sizeof_struct_st_plugin_ = sizeof(Plugin);
Plugin _maria_plugin_declarations_[] = {
    {AUTHENTICATION, &tokens, "AWSAuthenticationPlugin", "Slipway", "Accounts whose password is a token of IAM",
     LICENCE_OTHER, start, NULL, 0x0100, NULL, NULL, "1.0", STABLE},
    {AUTHENTICATION, &nobody, "aurora", "Slipway", "Variables of Aurora", LICENCE_OTHER, fill, NULL, 0x0100, NULL,
     variables, "1.0", STABLE},
    {0},
};
