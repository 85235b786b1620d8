// The functions of libpq that codops and libpqxx.a call. libpq.so.5 brings Kerberos and LDAP, 25 libraries: they are loaded when
// PostgreSQL is first spoken to, not at every start. Without it each returns 0: lib/io/postgres_library.cpp asks first, and says so.
#include <dlfcn.h>
#include <libpq-fe.h>

static void* symbol(const char* name) {
  static void* const library = ::dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL);
  return library == nullptr ? nullptr : ::dlsym(library, name);
}

#define CODOPS_FORWARD(result, name, parameters, arguments)                         \
  extern "C" result name parameters {                                               \
    static const auto real = reinterpret_cast<result(*) parameters>(symbol(#name)); \
    return real != nullptr ? real arguments : static_cast<result>(0);               \
  }

CODOPS_FORWARD(int, PQlibVersion, (), ())
CODOPS_FORWARD(int, PQbackendPID, (const PGconn* c), (c))
CODOPS_FORWARD(int, PQcancel, (PGcancel * c, char* text, int size), (c, text, size))
CODOPS_FORWARD(void, PQclear, (PGresult * r), (r))
CODOPS_FORWARD(char*, PQcmdStatus, (PGresult * r), (r))
CODOPS_FORWARD(char*, PQcmdTuples, (PGresult * r), (r))
CODOPS_FORWARD(PQconninfoOption*, PQconndefaults, (), ())
CODOPS_FORWARD(PostgresPollingStatusType, PQconnectPoll, (PGconn * c), (c))
CODOPS_FORWARD(PGconn*, PQconnectStartParams, (const char* const* keys, const char* const* values, int expand), (keys, values, expand))
CODOPS_FORWARD(int, PQconnectionNeedsPassword, (const PGconn* c), (c))
CODOPS_FORWARD(int, PQconnectionUsedPassword, (const PGconn* c), (c))
CODOPS_FORWARD(void, PQconninfoFree, (PQconninfoOption * options), (options))
CODOPS_FORWARD(PQconninfoOption*, PQconninfoParse, (const char* text, char** error), (text, error))
CODOPS_FORWARD(int, PQconsumeInput, (PGconn * c), (c))
CODOPS_FORWARD(int, PQdefaultSSLKeyPassHook_OpenSSL, (char* into, int size, PGconn* c), (into, size, c))
CODOPS_FORWARD(char*, PQencryptPasswordConn, (PGconn * c, const char* password, const char* user, const char* algorithm), (c, password, user, algorithm))
CODOPS_FORWARD(char*, PQerrorMessage, (const PGconn* c), (c))
CODOPS_FORWARD(void, PQfinish, (PGconn * c), (c))
CODOPS_FORWARD(int, PQflush, (PGconn * c), (c))
CODOPS_FORWARD(char*, PQfname, (const PGresult* r, int column), (r, column))
CODOPS_FORWARD(void, PQfreeCancel, (PGcancel * c), (c))
CODOPS_FORWARD(void, PQfreemem, (void* p), (p))
CODOPS_FORWARD(PGcancel*, PQgetCancel, (PGconn * c), (c))
CODOPS_FORWARD(int, PQgetCopyData, (PGconn * c, char** buffer, int async), (c, buffer, async))
CODOPS_FORWARD(PGresult*, PQgetResult, (PGconn * c), (c))
CODOPS_FORWARD(int, PQgetisnull, (const PGresult* r, int row, int column), (r, row, column))
CODOPS_FORWARD(int, PQgetlength, (const PGresult* r, int row, int column), (r, row, column))
CODOPS_FORWARD(char*, PQgetvalue, (const PGresult* r, int row, int column), (r, row, column))
CODOPS_FORWARD(int, PQisBusy, (PGconn * c), (c))
CODOPS_FORWARD(int, PQnfields, (const PGresult* r), (r))
CODOPS_FORWARD(int, PQntuples, (const PGresult* r), (r))
CODOPS_FORWARD(const char*, PQparameterStatus, (const PGconn* c, const char* name), (c, name))
CODOPS_FORWARD(char*, PQpass, (const PGconn* c), (c))
CODOPS_FORWARD(int, PQputCopyData, (PGconn * c, const char* data, int size), (c, data, size))
CODOPS_FORWARD(int, PQputCopyEnd, (PGconn * c, const char* error), (c, error))
CODOPS_FORWARD(char*, PQresultErrorField, (const PGresult* r, int field), (r, field))
CODOPS_FORWARD(char*, PQresultErrorMessage, (const PGresult* r), (r))
CODOPS_FORWARD(ExecStatusType, PQresultStatus, (const PGresult* r), (r))
CODOPS_FORWARD(int, PQsendQuery, (PGconn * c, const char* sql), (c, sql))
CODOPS_FORWARD(int, PQsendQueryParams, (PGconn * c, const char* sql, int count, const Oid* types, const char* const* values, const int* lengths, const int* formats, int format), (c, sql, count, types, values, lengths, formats, format))
CODOPS_FORWARD(int, PQserverVersion, (const PGconn* c), (c))
CODOPS_FORWARD(PGVerbosity, PQsetErrorVerbosity, (PGconn * c, PGVerbosity verbosity), (c, verbosity))
CODOPS_FORWARD(PQnoticeProcessor, PQsetNoticeProcessor, (PGconn * c, PQnoticeProcessor f, void* self), (c, f, self))
CODOPS_FORWARD(PQnoticeReceiver, PQsetNoticeReceiver, (PGconn * c, PQnoticeReceiver f, void* self), (c, f, self))
CODOPS_FORWARD(void, PQsetSSLKeyPassHook_OpenSSL, (PQsslKeyPassHook_OpenSSL_type hook), (hook))
CODOPS_FORWARD(int, PQsetSingleRowMode, (PGconn * c), (c))
CODOPS_FORWARD(int, PQsetnonblocking, (PGconn * c, int on), (c, on))
CODOPS_FORWARD(int, PQsocket, (const PGconn* c), (c))
CODOPS_FORWARD(ConnStatusType, PQstatus, (const PGconn* c), (c))
CODOPS_FORWARD(PGTransactionStatusType, PQtransactionStatus, (const PGconn* c), (c))
CODOPS_FORWARD(const char*, pg_encoding_to_char, (int encoding), (encoding))
