//! Where lines go.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::Mutex;

use super::{LogError, stderr_colours, stdout_colours};

enum Output {
    Stderr { colours: bool },
    Stdout { colours: bool },
    File(Mutex<File>),
}

/// Every place a line goes to.
pub(super) struct Outputs(Vec<Output>);

impl Outputs {
    pub fn open(paths: &[String]) -> Result<Self, LogError> {
        let open = |path: &String| match path.as_str() {
            "stderr" => Ok(Output::Stderr { colours: stderr_colours() }),
            "stdout" => Ok(Output::Stdout { colours: stdout_colours() }),
            file => OpenOptions::new()
                .append(true)
                .create(true)
                .open(file.strip_prefix("file://").unwrap_or(file))
                .map(|file| Output::File(Mutex::new(file)))
                .map_err(|error| {
                    LogError(format!("service::telemetry::logs::output_paths: cannot open {file}: {error}"))
                }),
        };
        paths.iter().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// Writes the line that `make` gives for an output with or without colours. An output that fails is nobody's
    /// business: there is no other place to complain to.
    pub fn write(&self, make: impl Fn(bool) -> String) {
        for output in &self.0 {
            let _ = match output {
                // One write a line, so that lines of several threads do not mix.
                Output::Stderr { colours } => std::io::stderr().lock().write_all(make(*colours).as_bytes()),
                Output::Stdout { colours } => {
                    let mut out = std::io::stdout().lock();
                    out.write_all(make(*colours).as_bytes()).and_then(|()| out.flush())
                }
                Output::File(file) => file
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner)
                    .write_all(make(false).as_bytes()),
            };
        }
    }
}
