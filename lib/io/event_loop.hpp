#pragma once
// One epoll loop: descriptors, timers and mail from threads, all served by the thread that calls run().
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>

#include "lib/base/cancel.hpp"

namespace codops::io {

class EventLoop {
  struct Inbox;

 public:
  using Action = std::function<void()>;
  using Ready = std::function<void(std::uint32_t events)>;  // EPOLLIN, EPOLLOUT, EPOLLERR, EPOLLHUP
  using TimePoint = Deadline::TimePoint;
  using Timer = std::pair<TimePoint, std::uint64_t>;
  enum class End { stopped, deadline, cancelled };

  // A way for other threads to run something on the loop. Copies may outlive the loop: then nothing happens.
  class Mailbox {
   public:
    void post(Action action) const;

   private:
    friend class EventLoop;
    explicit Mailbox(std::shared_ptr<Inbox> inbox) : inbox_{std::move(inbox)} {}
    std::shared_ptr<Inbox> inbox_;
  };

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Level-triggered; a second call for the same descriptor replaces events and action.
  void watch(int fd, std::uint32_t events, Ready ready);
  void unwatch(int fd) noexcept;
  Timer at(TimePoint time, Action action);
  Timer after(Milliseconds duration, Action action);
  void cancel(const Timer& timer) noexcept;
  Mailbox mailbox() const { return Mailbox{inbox_}; }

  // Serves events until stop() is called from one of them, the deadline, or cancellation.
  End run(const Limits& limits);
  void stop() noexcept { stopped_ = true; }

 private:
  struct Watch {
    std::uint32_t generation;
    std::shared_ptr<Ready> ready;
  };
  void fire_timers();
  void open_mail();
  int wait_time(const Deadline& deadline) const;

  int epoll_;
  std::uint32_t generation_{0};
  std::uint64_t timer_count_{0};
  bool stopped_{false};
  std::unordered_map<int, Watch> watches_;
  std::map<Timer, Action> timers_;
  std::shared_ptr<Inbox> inbox_;
};

}  // namespace codops::io
