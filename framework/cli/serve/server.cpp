// SPDX-License-Identifier: Apache-2.0

#include "framework/cli/serve/server.hpp"

#include <fmt/format.h>
#include <httplib.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "framework/cli/serve/openai_reply.hpp"
#include "framework/cli/serve/openai_request.hpp"

namespace tessera::cli {
namespace {

using session::Answer;
using session::Engine;

constexpr size_t kMostBodyBytes = 4U << 20;
// Beside those that answer and wait: health, models, refusals.
constexpr size_t kMoreThreads = 4;
constexpr int kReadSeconds = 10;
constexpr int kKeepAliveSeconds = 5;
constexpr int kWriteSeconds = 30;
constexpr std::chrono::milliseconds kLookAround{100};
constexpr const char* kJson = "application/json";

void set_json(httplib::Response& response, int status, const Json& json) {
  response.status = status;
  response.set_content(line_of(json) + "\n", kJson);
}

void set_error(httplib::Response& response, const Status& status) {
  set_json(response, http_status(status), error_json(status));
}

// "localhost" of "localhost:8080", "::1" of "[::1]:8080".
std::string host_of(const std::string& header) {
  if (header.starts_with('[')) {
    return header.substr(1, header.find(']') - 1);
  }
  return header.substr(0, header.find(':'));
}

// Takes as long wherever the texts begin to differ.
bool is_same(std::string_view a, std::string_view b) {
  size_t differences = a.size() ^ b.size();
  for (size_t i = 0; i < a.size(); ++i) {
    const char other = b.empty() ? '\0' : b[i % b.size()];
    differences |= static_cast<size_t>(static_cast<unsigned char>(a[i]) ^
                                       static_cast<unsigned char>(other));
  }
  return differences == 0;
}

bool is_json(const httplib::Request& request) {
  const std::string type = request.get_header_value("Content-Type");
  return type.substr(0, type.find(';')) == kJson;
}

// As OpenAI says it.
void set_unknown(httplib::Response& response) {
  response.set_header("WWW-Authenticate", "Bearer");
  set_json(
      response, 401,
      {{"error",
        {{"message", "Authorization: names no API key that this server knows"},
         {"type", "invalid_request_error"},
         {"param", nullptr},
         {"code", "invalid_api_key"}}}});
}

const char* reason_of(int status) {
  switch (status) {
    case 404:
      return "no such path: there are /v1/models, /v1/completions and "
             "/v1/chat/completions";
    case 413:
      return "the body has more than 4 MiB";
    case 414:
      return "the address is too long";
    default:
      return "the request is none";
  }
}

}  // namespace

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

class Server::Routes {
 public:
  Routes(Engine& engine, ServerOptions options)
      : engine_(engine),
        options_(std::move(options)),
        created_s_(std::time(nullptr)) {
    const size_t threads =
        size_t{options_.parallel} + options_.max_waiting + kMoreThreads;
    http_.new_task_queue = [threads] {
      return new httplib::ThreadPool(threads);
    };
    http_.set_payload_max_length(kMostBodyBytes);
    http_.set_read_timeout(kReadSeconds);
    http_.set_write_timeout(kWriteSeconds);
    http_.set_keep_alive_timeout(kKeepAliveSeconds);
    http_.set_tcp_nodelay(true);  // a piece of text is small
    // Not SO_REUSEPORT, which would share the port with another program.
    http_.set_socket_options([](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    });
    add_guards();
    add_routes();
  }

  Status bind() {
    const int port =
        options_.port == 0
            ? http_.bind_to_any_port(options_.host)
            : (http_.bind_to_port(options_.host, options_.port) ? options_.port
                                                                : -1);
    if (port < 0) {
      return {TSR_UNAVAILABLE,
              fmt::format("--host {} --port {}: cannot be had, or another "
                          "program has it",
                          options_.host, options_.port)};
    }
    port_ = static_cast<uint16_t>(port);
    return {};
  }

  uint16_t port() const { return port_; }

  Status run() {
    std::thread watch([this] { wait_and_end(); });
    const bool ended_well = http_.listen_after_bind();
    has_ended_ = true;
    watch.join();
    if (ended_well || options_.is_over()) return {};
    return {TSR_INTERNAL, "the socket failed"};
  }

 private:
  // A place among those that are answered or wait, as long as it lives.
  class Place {
   public:
    explicit Place(std::atomic<uint32_t>& count) : count_(count) { ++count_; }
    ~Place() { --count_; }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    std::atomic<uint32_t>& count_;
  };

  bool is_over() const { return has_ended_ || options_.is_over(); }

  // No new connections; then answers have their time to end.
  void wait_and_end() {
    while (!is_over()) std::this_thread::sleep_for(kLookAround);
    // Before it runs, there is nothing to stop.
    while (!http_.is_running() && !has_ended_) {
      std::this_thread::sleep_for(kLookAround);
    }
    http_.stop();
    const auto end = std::chrono::steady_clock::now() +
                     std::chrono::duration<double>(options_.grace_seconds);
    while (!has_ended_ && num_places_ > 0 &&
           std::chrono::steady_clock::now() < end) {
      std::this_thread::sleep_for(kLookAround / 10);
    }
    is_cut_ = true;
    engine_.stop();
  }

  // Null if too many are answered and wait already.
  std::shared_ptr<Place> take_place() {
    auto place = std::make_shared<Place>(num_places_);
    const bool is_free =
        num_places_ <= options_.parallel + options_.max_waiting;
    return is_free ? place : nullptr;
  }

  bool is_known(const httplib::Request& request) const {
    if (options_.api_keys.empty()) return true;
    const std::string header = request.get_header_value("Authorization");
    constexpr std::string_view kBearer = "Bearer ";
    if (!header.starts_with(kBearer)) return false;
    const std::string_view given =
        std::string_view(header).substr(kBearer.size());
    bool known = false;
    for (const std::string& key : options_.api_keys) {
      known = is_same(given, key) || known;
    }
    return known;
  }

  // A page of another site that a browser shows must not reach a server of
  // this machine: neither by a name that leads here, nor by a form.
  void add_guards() {
    http_.set_pre_routing_handler(
        [this](const httplib::Request& request, httplib::Response& response) {
          const std::string host = host_of(request.get_header_value("Host"));
          const bool is_foreign =
              is_loopback(options_.host) && !host.empty() && !is_loopback(host);
          if (is_foreign) {
            set_error(response, {TSR_INVALID_ARGUMENT,
                                 "Host: " + host + " is not this machine"});
            response.status = 403;
            return httplib::Server::HandlerResponse::Handled;
          }
          if (request.path != "/health" && !is_known(request)) {
            set_unknown(response);
            return httplib::Server::HandlerResponse::Handled;
          }
          return httplib::Server::HandlerResponse::Unhandled;
        });
    http_.set_error_handler(
        [](const httplib::Request&, httplib::Response& response) {
          if (!response.body.empty()) return;
          const int status = response.status;
          set_error(response, {TSR_INVALID_ARGUMENT, reason_of(status)});
          response.status = status;
        });
    http_.set_exception_handler([](const httplib::Request&,
                                   httplib::Response& response,
                                   const std::exception_ptr&) {
      set_error(response, {TSR_INTERNAL, "out of memory"});
    });
  }

  void add_routes() {
    http_.Get("/health",
              [](const httplib::Request&, httplib::Response& response) {
                set_json(response, 200, {{"status", "ok"}});
              });
    http_.Get("/v1/models", [this](const httplib::Request&,
                                   httplib::Response& response) {
      set_json(response, 200, models_json(engine_.model_name(), created_s_));
    });
    http_.Get(R"(/v1/models/(.+))", [this](const httplib::Request& request,
                                           httplib::Response& response) {
      const Json models = models_json(engine_.model_name(), created_s_);
      const std::string name = request.matches[1];
      if (name == engine_.model_name()) {
        set_json(response, 200, models.at("data").at(0));
      } else {
        set_error(response, {TSR_NOT_FOUND, "model: there is no " + name});
      }
    });
    const auto add_post = [this](const char* path, bool is_chat) {
      http_.Post(path, [this, is_chat](const httplib::Request& request,
                                       httplib::Response& response) {
        if (is_json(request)) {
          answer(request, is_chat, response);
        } else {
          set_error(response, {TSR_INVALID_ARGUMENT,
                               "Content-Type: is not application/json"});
          response.status = 415;
        }
      });
    };
    add_post("/v1/completions", false);
    add_post("/v1/chat/completions", true);
  }

  void answer(const httplib::Request& http, bool is_chat,
              httplib::Response& response) {
    Result<OpenAiRequest> request =
        parse_openai_request(http.body, is_chat, engine_);
    if (!request.ok()) {
      set_error(response, request.status());
      return;
    }
    const std::shared_ptr<Place> place = take_place();
    if (place == nullptr || is_over()) {
      response.set_header("Retry-After", "1");
      set_error(response,
                {TSR_UNAVAILABLE,
                 is_over() ? std::string("the server ends")
                           : fmt::format("{} requests are answered and wait",
                                         num_places_.load())});
      return;
    }
    const ReplyHead head = make_reply_head(engine_.model_name(), is_chat);
    if (request->stream) {
      response.set_chunked_content_provider(
          "text/event-stream", [this, head, place, asked = std::move(*request)](
                                   size_t /*offset*/, httplib::DataSink& sink) {
            return stream_answers(head, asked, sink);
          });
      response.set_header("Cache-Control", "no-cache");
      return;
    }
    std::vector<Answer> answers;
    for (const session::Question& question : request->questions) {
      Result<Answer> found = engine_.answer(
          question, [this](std::string_view) { return !is_cut_; });
      if (!found.ok() || found->finish == session::Finish::kCancelled) {
        set_error(response, found.ok()
                                ? Status(TSR_UNAVAILABLE, "the server ends")
                                : found.status());
        return;
      }
      answers.push_back(std::move(*found));
    }
    set_json(response, 200, completion_json(head, answers));
  }

  // False if the client went away.
  bool stream_answers(const ReplyHead& head, const OpenAiRequest& request,
                      httplib::DataSink& sink) {
    const auto send = [&sink](const std::string& event) {
      return sink.write(event.data(), event.size());
    };
    std::vector<Answer> answers;
    for (size_t i = 0; i < request.questions.size(); ++i) {
      if (head.is_chat && !send(event_of(role_chunk(head, i)))) return false;
      Result<Answer> found =
          engine_.answer(request.questions[i], [&](std::string_view text) {
            return !is_cut_ && send(event_of(text_chunk(head, i, text)));
          });
      if (!found.ok()) {
        // The status line is gone already.
        send(event_of(error_json(found.status())));
        return false;
      }
      if (found->finish == session::Finish::kCancelled) return false;
      if (!send(event_of(end_chunk(head, i, found->finish)))) return false;
      answers.push_back(std::move(*found));
    }
    if (request.include_usage && !send(event_of(usage_chunk(head, answers)))) {
      return false;
    }
    if (!send("data: [DONE]\n\n")) return false;
    sink.done();
    return true;
  }

  Engine& engine_;
  ServerOptions options_;
  int64_t created_s_;
  httplib::Server http_;
  uint16_t port_ = 0;
  std::atomic<uint32_t> num_places_{0};
  std::atomic<bool> is_cut_{false};
  std::atomic<bool> has_ended_{false};
};

Server::Server(Engine& engine, ServerOptions options)
    : routes_(std::make_unique<Routes>(engine, std::move(options))) {}
Server::~Server() = default;

Status Server::bind() { return routes_->bind(); }
uint16_t Server::port() const { return routes_->port(); }
Status Server::run() { return routes_->run(); }

}  // namespace tessera::cli
