"""Proxies from a distribution, each with one worker and tuned as its documentation allows."""

from contender import AUTHORIZATION, Contender
from programs import program

NGINX = """\
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/errors.log;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    client_max_body_size 64m;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/unused;
    fastcgi_temp_path {folder}/unused;
    uwsgi_temp_path {folder}/unused;
    scgi_temp_path {folder}/unused;
    upstream azure {{
        server 127.0.0.1:{upstream.tls_port};
        keepalive 64;
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
        keepalive_time 24h;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass https://azure;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_set_header Connection "";
            proxy_set_header Authorization "{authorization}";
            proxy_ssl_protocols TLSv1.3;
            proxy_ssl_conf_command Ciphersuites {upstream.suite};
            proxy_ssl_name localhost;
            proxy_ssl_server_name on;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {upstream.roots};
        }}
    }}
}}
"""

# A token does not fit into the space that haproxy reserves for rewriting by default.
HAPROXY = """\
global
    nbthread 1
    maxconn 8192
    tune.maxrewrite 4096
    ssl-server-verify required
defaults
    timeout connect 5s
    timeout client 1h
    timeout server 1h
"""

HAPROXY_HTTP = """\
    mode http
    http-reuse always
frontend senders
    bind 127.0.0.1:{port} backlog 4096
    default_backend azure
backend azure
    http-request set-header Authorization "{authorization}"
    server azure 127.0.0.1:{upstream.tls_port} ssl verify required ca-file {upstream.roots} verifyhost localhost \
sni str(localhost) force-tlsv13 ciphersuites {upstream.suite}
"""

HAPROXY_TCP = """\
    mode tcp
frontend senders
    bind 127.0.0.1:{port} backlog 4096
    default_backend azure
backend azure
    server azure 127.0.0.1:{upstream.plain_port}
"""

CADDY = """\
{{
    admin off
    auto_https off
}}
http://:{port} {{
    bind 127.0.0.1
    reverse_proxy https://127.0.0.1:{upstream.tls_port} {{
        header_up Authorization "{authorization}"
        transport http {{
            tls_server_name localhost
            tls_trusted_ca_certs {upstream.roots}
            keepalive_idle_conns_per_host 64
            versions 1.1
        }}
    }}
}}
"""


def write(folder, name, template, port, upstream):
    """Writes a configuration from its template; returns its path."""
    path = folder / name
    path.write_text(template.format(folder=folder, port=port, upstream=upstream, authorization=AUTHORIZATION))
    return path


class Nginx(Contender):
    """The yardstick."""

    name = "nginx"
    about = "one worker, proxy_request_buffering off, connections upstream kept"

    def command(self, folder, port, upstream):
        return [program("nginx"), "-c", write(folder, "nginx.conf", NGINX, port, upstream)]


class HaproxyHttp(Contender):
    """haproxy in HTTP mode."""

    name = "haproxy"
    about = "mode http, one thread, connections upstream shared"
    template = HAPROXY_HTTP

    def command(self, folder, port, upstream):
        return [program("haproxy"), "-db", "-f", write(folder, "haproxy.cfg", HAPROXY + self.template, port, upstream)]


class HaproxyTcp(HaproxyHttp):
    """haproxy that neither parses nor encrypts: not a proxy for this purpose, but the cost of copying alone."""

    name = "haproxy-tcp"
    about = "mode tcp to a sink without TLS: a bare relay, no Authorization"
    template = HAPROXY_TCP
    authorizes = False


class Caddy(Contender):
    """Caddy on one processor."""

    name = "caddy"
    about = "reverse_proxy, GOMAXPROCS=1"

    def command(self, folder, port, upstream):
        config = write(folder, "Caddyfile", CADDY, port, upstream)
        return [program("caddy"), "run", "--adapter", "caddyfile", "--config", config]

    def environment(self, _port, _upstream, _connections):
        return {"GOMAXPROCS": "1"}
