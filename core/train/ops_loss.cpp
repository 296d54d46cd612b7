// Losses; softmax and its logarithm in one place each.
#include <cmath>

#include "core/train/ops.h"

namespace starling::core {
namespace {

struct Rows {
  std::int64_t count, classes;
};

Rows rows_of(const Tape& t, Var logits) {
  ensure(t.shape(logits).size() == 2, "a loss over rows of classes");
  return {t.shape(logits)[0], t.shape(logits)[1]};
}

/// log of the sum of exp over a row whose softmax is p: largest - log p(largest), in double.
double log_sum(std::span<const float> logits, std::span<const float> p) {
  const auto largest = std::max_element(logits.begin(), logits.end()) - logits.begin();
  return static_cast<double>(logits[static_cast<std::size_t>(largest)]) - std::log(static_cast<double>(p[static_cast<std::size_t>(largest)]));
}

}  // namespace

Var cross_entropy(Tape& t, Var logits, std::span<const std::int32_t> labels) {
  const Rows rows = rows_of(t, logits);
  ensure(static_cast<std::int64_t>(labels.size()) == rows.count, "as many labels as rows");
  const auto classes = static_cast<std::size_t>(rows.classes);
  const Var loss = t.make({1}, t.wants(logits));
  const std::size_t values = static_cast<std::size_t>(rows.count) * classes;
  float* p = t.arena().floats(values);
  std::int32_t* kept = t.arena().ints(labels.size());
  std::copy(labels.begin(), labels.end(), kept);
  softmax(t.value(logits), rows.classes, {p, values}, t.pool());
  double sum = 0;
  std::int64_t counted = 0;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    const std::int32_t label = labels[row];
    check(label >= -1 && label < rows.classes, Kind::malformed, "row {}: label {} of {} classes", row, label, rows.classes);
    if (label < 0) continue;
    const std::span<const float> x = t.value(logits).subspan(row * classes, classes);
    sum += log_sum(x, {p + row * classes, classes}) - static_cast<double>(x[static_cast<std::size_t>(label)]);
    ++counted;
  }
  t.value(loss)[0] = counted > 0 ? static_cast<float>(sum / static_cast<double>(counted)) : 0.0f;
  if (t.wants(loss) && counted > 0)
    t.on_backward([=](Tape& tape) {
      const float scale = tape.gradient(loss)[0] / static_cast<float>(counted);
      const std::span<float> dx = tape.gradient(logits);
      for (std::size_t row = 0; row < static_cast<std::size_t>(rows.count); ++row) {
        if (kept[row] < 0) continue;
        add_scaled(scale, {p + row * classes, classes}, dx.subspan(row * classes, classes));
        dx[row * classes + static_cast<std::size_t>(kept[row])] -= scale;
      }
    });
  return loss;
}

Var mean_squared_error(Tape& t, Var x, std::span<const float> target) {
  ensure(static_cast<std::int64_t>(target.size()) == t.size(x), "a target of another size");
  const Var loss = t.make({1}, t.wants(x));
  float* difference = t.arena().floats(target.size());
  double sum = 0;
  for (std::size_t i = 0; i < target.size(); ++i) {
    difference[i] = t.value(x)[i] - target[i];
    sum += static_cast<double>(difference[i]) * static_cast<double>(difference[i]);
  }
  const auto n = static_cast<double>(target.size());
  t.value(loss)[0] = static_cast<float>(sum / n);
  if (t.wants(loss))
    t.on_backward([=](Tape& tape) {
      const std::span<float> dx = tape.gradient(x);
      add_scaled(tape.gradient(loss)[0] * static_cast<float>(2 / n), {difference, dx.size()}, dx);
    });
  return loss;
}

Var distillation(Tape& t, Var logits, std::span<const float> teacher_logits, float temperature) {
  const Rows rows = rows_of(t, logits);
  ensure(static_cast<std::int64_t>(teacher_logits.size()) == t.size(logits) && temperature > 0, "a teacher of another size");
  const std::size_t values = teacher_logits.size();
  const auto classes = static_cast<std::size_t>(rows.classes);
  float* student = t.arena().floats(values);
  float* teacher = t.arena().floats(values);
  float* cooled = t.arena().floats(values);
  const Var loss = t.make({1}, t.wants(logits));
  double sum = 0;
  scale(1 / temperature, teacher_logits, {cooled, values});
  softmax({cooled, values}, rows.classes, {teacher, values}, t.pool());
  std::vector<double> teacher_log(static_cast<std::size_t>(rows.count));
  const auto part = [&](const float* p, std::size_t row) { return std::span<const float>(p + row * classes, classes); };
  for (std::size_t row = 0; row < teacher_log.size(); ++row) teacher_log[row] = log_sum(part(cooled, row), part(teacher, row));
  std::vector<float> teacher_cooled(cooled, cooled + values);
  scale(1 / temperature, t.value(logits), {cooled, values});
  softmax({cooled, values}, rows.classes, {student, values}, t.pool());
  for (std::size_t row = 0; row < teacher_log.size(); ++row) {
    const double student_log = log_sum(part(cooled, row), part(student, row));
    for (std::size_t i = row * classes; i < (row + 1) * classes; ++i)
      sum += static_cast<double>(teacher[i]) * ((static_cast<double>(teacher_cooled[i]) - teacher_log[row]) - (static_cast<double>(cooled[i]) - student_log));
  }
  const auto n = static_cast<float>(rows.count);
  t.value(loss)[0] = static_cast<float>(sum) * temperature * temperature / n;
  if (t.wants(loss))
    t.on_backward([=](Tape& tape) {
      const float factor = tape.gradient(loss)[0] * temperature / n;
      const std::span<float> dx = tape.gradient(logits);
      add_scaled(factor, {student, dx.size()}, dx);
      add_scaled(-factor, {teacher, dx.size()}, dx);
    });
  return loss;
}

}  // namespace starling::core
