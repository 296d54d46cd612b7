// Ranks of one model as threads of this process, summing through shared memory: the simplest Group there is.
#pragma once

#include <algorithm>
#include <barrier>
#include <exception>
#include <functional>
#include <span>
#include <thread>
#include <vector>

#include "core/group.h"

namespace starling::tests {

class FakeGroups {
 public:
  explicit FakeGroups(int size) : size_(size), barrier_(size), doubles_(static_cast<std::size_t>(size)), floats_(doubles_.size()) {}

  /// Runs body(group) on every rank; the first exception is rethrown. A rank that throws leaves the barrier,
  /// so that the others end too (their sums are then void).
  void run(const std::function<void(core::Group&)>& body) {
    std::vector<std::thread> threads;
    std::vector<std::exception_ptr> errors(static_cast<std::size_t>(size_));
    for (int rank = 0; rank < size_; ++rank)
      threads.emplace_back([&, rank] {
        Member member(*this, rank);
        try {
          body(member);
        } catch (...) {
          errors[static_cast<std::size_t>(rank)] = std::current_exception();
          barrier_.arrive_and_drop();
        }
      });
    for (std::thread& thread : threads) thread.join();
    for (const std::exception_ptr& error : errors)
      if (error) std::rethrow_exception(error);
  }

 private:
  class Member final : public core::Group {
   public:
    Member(FakeGroups& all, int rank) : all_(all), rank_(rank) {}
    core::Rank rank() const override { return rank_; }
    core::Rank size() const override { return all_.size_; }
    void all_reduce(std::span<double> parts, std::span<float> total) override {
      all_.doubles_[static_cast<std::size_t>(rank_)] = parts;
      all_.barrier_.arrive_and_wait();
      for (std::size_t i = 0; i < total.size(); ++i) {
        double sum = 0;
        for (int step = 0; step < all_.size_; ++step)  // every rank adds in another order
          sum += all_.doubles_[static_cast<std::size_t>((rank_ + step) % all_.size_)][i];
        total[i] = static_cast<float>(sum);
      }
      all_.barrier_.arrive_and_wait();
    }
    void all_reduce(std::span<float> parts) override {
      all_.floats_[static_cast<std::size_t>(rank_)] = parts;
      all_.barrier_.arrive_and_wait();
      std::vector<float> total(parts.size(), 0.0f);
      for (const std::span<float> other : all_.floats_)
        for (std::size_t i = 0; i < total.size(); ++i) total[i] += other[i];
      all_.barrier_.arrive_and_wait();
      std::copy(total.begin(), total.end(), parts.begin());
    }

   private:
    FakeGroups& all_;
    int rank_;
  };

  int size_;
  std::barrier<> barrier_;
  std::vector<std::span<double>> doubles_;
  std::vector<std::span<float>> floats_;
};

}  // namespace starling::tests
