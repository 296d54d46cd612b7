// From the rows of a file to groups of sixteen, and one row back.
#include "core/ops/packed_pack.h"

#include <algorithm>

#include "core/error.h"
#include "core/file_pages.h"
#include "core/ops/packed.h"
#include "core/ops/packed_forms.h"

namespace starling::core {
namespace {

const PackedForm* form_of_stored(Type type) {
  for (const PackedForm& form : packed_forms())
    if (form.stored == type) return &form;
  return nullptr;
}

const PackedForm* form_of_packed(Type type) {
  for (const PackedForm& form : packed_forms())
    if (form.packed == type) return &form;
  return nullptr;
}

std::size_t block_bytes(const TypeInfo& type) { return static_cast<std::size_t>(type.block_bytes * type.rows_together); }

}  // namespace

bool is_packable(Type type) { return form_of_stored(type) != nullptr; }

bool is_packed(Type type) { return form_of_packed(type) != nullptr; }

PackedFormat packed_format(Type type) {
  const PackedForm* form = form_of_packed(type);
  ensure(form != nullptr, "a product with a matrix that is not packed");
  return form->format;
}

Tensor pack_matrix(const Tensor& matrix, Pool& pool) {
  const PackedForm* form = form_of_stored(matrix.type());
  ensure(form != nullptr && matrix.shape().size() == 2, "a matrix without a packed form");
  const TypeInfo& from = info(form->stored);
  const TypeInfo& to = info(form->packed);
  Tensor result = Tensor::owned(form->packed, matrix.shape());
  if (result.empty()) return result;
  const auto blocks = static_cast<std::size_t>(matrix.columns() / from.block_length);
  const auto rows = static_cast<std::size_t>(matrix.rows());
  const std::size_t groups = (rows + kPackedLanes - 1) / kPackedLanes, group_bytes = matrix.row_bytes(0).size() * kPackedLanes;
  auto* const out = reinterpret_cast<std::uint8_t*>(result.mutable_bytes().data());
  std::size_t first = 0;  // group of a strip
  const auto body = [&](std::int64_t begin, std::int64_t end) {
    for (std::size_t group = first + static_cast<std::size_t>(begin); group < first + static_cast<std::size_t>(end); ++group)
      for (std::size_t lane = 0; lane < kPackedLanes && group * kPackedLanes + lane < rows; ++lane) {
        const Bytes row = matrix.row_bytes(static_cast<std::int64_t>(group * kPackedLanes + lane));
        const auto* in = reinterpret_cast<const std::uint8_t*>(row.data());
        for (std::size_t b = 0; b < blocks; ++b)
          form->pack(in + b * block_bytes(from), lane, out + (group * blocks + b) * block_bytes(to));
      }
  };
  constexpr std::size_t kStripBytes = std::size_t{8} << 20;
  for (const std::size_t strip = std::max<std::size_t>(kStripBytes / group_bytes, 1); first < groups; first += strip) {
    pool.parallel_for(static_cast<std::int64_t>(std::min(strip, groups - first)), 4, std::ref(body));
    release_file_pages(matrix.bytes().subspan(first * group_bytes).first(std::min(strip * group_bytes, matrix.bytes().size() - first * group_bytes)));
  }
  return result;
}

void packed_row(const Tensor& packed, std::int64_t row, std::span<float> values) {
  const PackedForm* form = form_of_packed(packed.type());
  ensure(form != nullptr && row >= 0 && row < packed.rows() && values.size() == static_cast<std::size_t>(packed.columns()),
         "no such row of a packed matrix");
  const TypeInfo& type = info(form->packed);
  const auto length = static_cast<std::size_t>(type.block_length), blocks = values.size() / length;
  const auto group = static_cast<std::size_t>(row) / kPackedLanes, lane = static_cast<std::size_t>(row) % kPackedLanes;
  const auto* in = reinterpret_cast<const std::uint8_t*>(packed.bytes().data());
  for (std::size_t b = 0; b < blocks; ++b)
    form->unpack(in + (group * blocks + b) * block_bytes(type), lane, values.data() + b * length);
}

}  // namespace starling::core
