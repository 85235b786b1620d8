// Run at configure time with libcurl.a and the stand-ins: everything that codops calls links, what stood aside is refused, and HTTP
// gets as far as its socket.
#include <curl/curl.h>

#include <cstdio>
#include <initializer_list>

int main() {
  if (::curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return 1;
  CURLM* multi = ::curl_multi_init();
  CURL* easy = ::curl_easy_init();
  const auto ask = [&](const char* scheme) {
    char url[64];
    std::snprintf(url, sizeof url, "%s://localhost/file", scheme);
    ::curl_easy_reset(easy);
    ::curl_easy_setopt(easy, CURLOPT_URL, url);
    ::curl_easy_setopt(easy, CURLOPT_PROXY, "");
    ::curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, "/nonexistent");
    return ::curl_easy_perform(easy);
  };
  for (const auto* scheme : {"dict", "file", "ftp", "ftps", "gopher", "imap", "imaps", "ldap", "ldaps", "mqtt", "pop3", "pop3s", "rtmp", "rtsp", "scp", "sftp", "smb", "smtp", "smtps", "telnet", "tftp"}) {
    if (ask(scheme) != CURLE_UNSUPPORTED_PROTOCOL) return 2;
  }
  for (const auto* scheme : {"http", "https"}) {
    if (ask(scheme) != CURLE_COULDNT_CONNECT) return 3;
  }
  if (::curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") != CURLE_OK) return 4;
  int count = 0;
  std::size_t size = 0;
  ::curl_multi_add_handle(multi, easy);
  ::curl_multi_perform(multi, &count);
  ::curl_multi_socket_action(multi, CURL_SOCKET_TIMEOUT, 0, &count);
  ::curl_multi_poll(multi, nullptr, 0, 0, nullptr);
  ::curl_easy_recv(easy, nullptr, 0, &size);
  ::curl_multi_remove_handle(multi, easy);
  ::curl_easy_cleanup(easy);
  ::curl_multi_cleanup(multi);
  return 0;
}
