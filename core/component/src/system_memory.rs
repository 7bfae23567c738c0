//! What the system says of the process's memory: its own size, its control groups (version 1 and 2), the machine's.

use std::fs;
use std::path::{Path, PathBuf};

/// Reads below a root, which is `/` but for tests. All sizes in bytes; `None` where the system does not say.
#[derive(Clone, Debug)]
pub struct SystemMemory {
    root: PathBuf,
}

impl Default for SystemMemory {
    fn default() -> Self {
        SystemMemory { root: "/".into() }
    }
}

/// A control group with a limit.
struct Group {
    limit: u64,
    folder: PathBuf,
    usage: &'static str,
    inactive: &'static str,
}

impl SystemMemory {
    /// What the process may take at most: the smallest limit of its control groups.
    pub fn limit(&self) -> Option<u64> {
        self.groups().iter().map(|group| group.limit).min()
    }

    /// The same, and the machine's memory where no control group limits it.
    pub fn total(&self) -> Option<u64> {
        self.limit().or_else(|| self.kib("proc/meminfo", "MemTotal:"))
    }

    /// The process's resident set.
    pub fn resident(&self) -> Option<u64> {
        self.kib("proc/self/status", "VmRSS:")
    }

    /// What is left until a control group is at its limit. File pages that the kernel can take back at once do not count.
    pub fn left(&self) -> Option<u64> {
        let left = |group: &Group| {
            let used: u64 = self.read(&group.folder.join(group.usage)).trim().parse().ok()?;
            let stat = self.read(&group.folder.join("memory.stat"));
            let inactive = field(&stat, group.inactive).unwrap_or(0);
            Some(group.limit.saturating_sub(used.saturating_sub(inactive)))
        };
        self.groups().iter().filter_map(left).min()
    }

    fn groups(&self) -> Vec<Group> {
        let mut found = Vec::new();
        for line in self.read(Path::new("proc/self/cgroup")).lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
            let (mount, file, usage, inactive) = match controllers {
                "" => ("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
                names if names.split(',').any(|name| name == "memory") => {
                    let usage = "memory.usage_in_bytes";
                    ("sys/fs/cgroup/memory", "memory.limit_in_bytes", usage, "total_inactive_file")
                }
                _ => continue,
            };
            // In a container the path may be the host's, and the mount already the group: the mount is looked at in any case.
            for group in Path::new(group.trim_start_matches('/')).ancestors() {
                let folder = Path::new(mount).join(group);
                let text = self.read(&folder.join(file));
                // `max`, or in version 1 a number near 2^63, means that there is none.
                if let Some(limit) = text.trim().parse::<u64>().ok().filter(|limit| *limit < 1 << 60) {
                    found.push(Group { limit, folder, usage, inactive });
                }
            }
        }
        found
    }

    fn kib(&self, file: &str, name: &str) -> Option<u64> {
        field(&self.read(Path::new(file)), name).map(|kib| kib << 10)
    }

    fn read(&self, file: &Path) -> String {
        fs::read_to_string(self.root.join(file)).unwrap_or_default()
    }
}

/// The number behind a name at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == name).then(|| words.next()?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a system with these files says.
    fn with<T>(name: &str, files: &[(&str, &str)], ask: impl Fn(&SystemMemory) -> T) -> T {
        let root = std::env::temp_dir().join(format!("streamgauge-memory-{}-{name}", std::process::id()));
        for (file, text) in files {
            let file = root.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
        let said = ask(&SystemMemory { root: root.clone() });
        fs::remove_dir_all(root).unwrap();
        said
    }

    #[test]
    fn the_smallest_control_group_above_the_process_counts() {
        let limit = |name: &str, groups: &str, files: &[(&str, &str)]| {
            let files: Vec<_> = files.iter().copied().chain([("proc/self/cgroup", groups)]).collect();
            with(name, &files, SystemMemory::limit)
        };
        let v2 = [("sys/fs/cgroup/a/b/memory.max", "max\n"), ("sys/fs/cgroup/a/memory.max", "5000\n")];
        assert_eq!(limit("v2", "0::/a/b\n", &v2), Some(5000));
        assert_eq!(limit("root", "0::/\n", &[("sys/fs/cgroup/memory.max", "7000")]), Some(7000));
        let v1 = [("sys/fs/cgroup/memory/memory.limit_in_bytes", "9000")];
        assert_eq!(limit("v1", "5:cpu,cpuacct:/x\n4:memory:/docker/x\n", &v1), Some(9000));
        let none = [("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712")];
        assert_eq!(limit("none", "4:memory:/\n", &none), None);
    }

    #[test]
    fn what_is_left_does_not_count_pages_that_the_kernel_can_take_back() {
        let v2 = [
            ("proc/self/cgroup", "0::/a\n"),
            ("sys/fs/cgroup/a/memory.max", "5000\n"),
            ("sys/fs/cgroup/a/memory.current", "4500\n"),
            ("sys/fs/cgroup/a/memory.stat", "anon 3500\nfile 1000\ninactive_file 900\n"),
        ];
        assert_eq!(with("left-v2", &v2, SystemMemory::left), Some(1400));
        let v1 = [
            ("proc/self/cgroup", "4:memory:/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "5000"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "5200"),
        ];
        assert_eq!(with("left-v1", &v1, SystemMemory::left), Some(0));
        assert_eq!(with("left-none", &[("proc/self/cgroup", "0::/\n")], SystemMemory::left), None);
    }

    #[test]
    fn the_machine_counts_where_no_control_group_does() {
        let files = [("proc/meminfo", "MemTotal:       2048 kB\n"), ("proc/self/cgroup", "0::/\n")];
        assert_eq!(with("total", &files, SystemMemory::total), Some(2 << 20));
        assert!(SystemMemory::default().resident().unwrap() > 1 << 20);
    }
}
