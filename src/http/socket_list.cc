#include "src/http/socket_list.h"

#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace holdfast::http::internal {
namespace {

// 0 for what is none.
ino_t SocketOf(int descriptor) {
  struct stat status = {};
  const bool known = descriptor >= 0 && ::fstat(descriptor, &status) == 0;
  return known && S_ISSOCK(status.st_mode) ? status.st_ino : 0;
}

}  // namespace

SocketList::~SocketList() {
  Record* record = first_.load(std::memory_order_relaxed);
  while (record != nullptr) delete std::exchange(record, record->next);
}

SocketList::Record& SocketList::Take() {
  Record* const first = first_.load(std::memory_order_acquire);
  for (Record* record = first; record != nullptr; record = record->next) {
    if (!record->taken.exchange(true, std::memory_order_acquire)) return *record;
  }
  auto* const record = new Record;
  record->next = first;
  while (!first_.compare_exchange_weak(record->next, record, std::memory_order_release,
                                       std::memory_order_relaxed)) {
  }
  return *record;
}

SocketList::Entry::~Entry() {
  if (record_ == nullptr) return;
  Set(-1);
  record_->taken.store(false, std::memory_order_release);
}

void SocketList::Entry::Set(int descriptor) {
  record_->socket.store(SocketOf(descriptor), std::memory_order_relaxed);
  record_->descriptor.store(descriptor, std::memory_order_relaxed);
}

void SocketList::CloseCopies() const noexcept {
  for (const Record* record = first_.load(std::memory_order_acquire); record != nullptr;
       record = record->next) {
    const ino_t socket = record->socket.load(std::memory_order_relaxed);
    const int descriptor = record->descriptor.load(std::memory_order_relaxed);
    if (socket != 0 && SocketOf(descriptor) == socket) ::close(descriptor);
  }
}

}  // namespace holdfast::http::internal
