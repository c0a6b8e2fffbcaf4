//! Runs a command, shows its output as it comes, and keeps a copy to read the summary from.

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use crate::console;

/// What a finished command left.
pub(crate) struct Finished {
    /// It exited with code 0.
    pub(crate) success: bool,
    /// Standard output and standard error, line by line as they came.
    pub(crate) output: String,
}

impl Finished {
    fn not_started(program: &str, why: &std::io::Error) -> Self {
        let output = format!("cannot run {program}: {why}\n");
        console::say(output.trim_end());
        Self {
            success: false,
            output,
        }
    }
}

/// Runs `command` in `directory`, echoing every line.
pub(crate) fn run_shown(command: &mut Command, directory: &Path) -> Finished {
    let program = command.get_program().to_string_lossy().into_owned();
    command.current_dir(directory).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(why) => return Finished::not_started(&program, &why),
    };
    let kept = Mutex::new(String::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        scope.spawn(|| echo(stdout, &kept));
        scope.spawn(|| echo(stderr, &kept));
    });
    let success = child.wait().is_ok_and(|status| status.success());
    let output = kept
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    Finished { success, output }
}

fn echo(stream: Option<impl Read>, kept: &Mutex<String>) {
    let Some(stream) = stream else { return };
    for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        console::say(&line);
        let mut kept = kept
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        kept.push_str(&line);
        kept.push('\n');
    }
}

/// Runs `command` in `directory` in silence.
pub(crate) fn run_quiet(command: &mut Command, directory: &Path) -> Finished {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.current_dir(directory).stdin(Stdio::null()).output() {
        Ok(output) => {
            let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.push_str(&String::from_utf8_lossy(&output.stderr));
            Finished {
                success: output.status.success(),
                output: text,
            }
        }
        Err(why) => Finished::not_started(&program, &why),
    }
}

/// The cargo that runs this xtask, or the one on the path.
pub(crate) fn cargo() -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.env("CARGO_TERM_COLOR", "never");
    command
}

/// Where the shell would find `program`.
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}
