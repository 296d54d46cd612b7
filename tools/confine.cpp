#include "tools/confine.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/error.h"
#include "tools/descriptor.h"

namespace starling::tools {
namespace {

constexpr __u64 kFile = LANDLOCK_ACCESS_FS_READ_FILE;
constexpr __u64 kFolder = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;

void allow(const Descriptor& rules, const std::filesystem::path& path) {
  const Descriptor at(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (!at.valid()) return;  // what is not there needs no rule
  landlock_path_beneath_attr rule{};
  rule.allowed_access = std::filesystem::is_directory(path) ? kFolder : kFile;
  rule.parent_fd = at.get();
  core::check(::syscall(SYS_landlock_add_rule, rules.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0, core::Kind::unsupported,
              "{}: reading cannot be confined to it: {}", path.string(), core::last_error);
}

}  // namespace

bool confine_reading(const std::vector<std::filesystem::path>& folders) {
  landlock_ruleset_attr handled{};
  handled.handled_access_fs = kFolder;
  const Descriptor rules(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0)));
  if (!rules.valid()) return false;
  for (const char* path : {"/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/run", "/proc", "/sys", "/dev"}) allow(rules, path);
  for (const auto& path : folders) allow(rules, path);
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::syscall(SYS_landlock_restrict_self, rules.get(), 0) == 0;
}

}  // namespace starling::tools
