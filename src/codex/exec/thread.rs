//! A thread that is driven by one process per turn.

use std::{
    io::Write,
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use tokio_util::task::TaskTracker;

use super::{
    arguments,
    run::{Run, Started},
};
use crate::codex::{
    caveats,
    error::CodexError,
    ids::{ThreadId, TurnId},
    launch::{CodexConfig, Found},
    projects::Project,
    record::{self, EnvironmentContext},
    settings::{ApprovalPolicy, EffectiveSettings, Reviewer, ThreadSettings, TurnRequest},
    turn::{Begun, Driver, Trust, Turn},
};

/// A thread. Nothing of it is loaded between its turns.
#[derive(Debug)]
pub(in crate::codex) struct ExecThread {
    /// Codex says it with the first turn.
    id: OnceLock<ThreadId>,
    pub(in crate::codex) settings: ThreadSettings,
    pub(in crate::codex) found: Found,
    project: Project,
    config: CodexConfig,
    tasks: TaskTracker,
    turns: AtomicU32,
}

impl ExecThread {
    /// A thread, or one to be if it has no id yet.
    pub(in crate::codex) fn open(
        found: Found,
        id: Option<&ThreadId>,
        (settings, project): (&ThreadSettings, Project),
        config: &CodexConfig,
        tasks: &TaskTracker,
    ) -> Result<Self, CodexError> {
        let unsupported = |what| CodexError::Unsupported { what, version: found.version };
        if settings.ephemeral {
            return Err(unsupported("keeping no record of a conversation"));
        }
        let options = &settings.options;
        if options.base_instructions.is_some() || options.developer_instructions.is_some() {
            return Err(unsupported("instructions with a call"));
        }
        if options.reviewer == Some(Reviewer::AutoReview) {
            return Err(unsupported("approvals decided by a model"));
        }
        if options.callback_uri.is_some() {
            return Err(unsupported("a callbackUri with a call"));
        }
        if let Some(thread) = id
            && record::of_thread(&config.codex_home, thread).is_none()
        {
            let reason = "Codex has no record of it".to_owned();
            return Err(CodexError::ThreadUnavailable { thread: thread.clone(), reason });
        }
        Ok(Self {
            id: id.cloned().map_or_else(OnceLock::new, OnceLock::from),
            settings: settings.clone(),
            found,
            project,
            config: config.clone(),
            tasks: tasks.clone(),
            turns: AtomicU32::new(0),
        })
    }

    pub(in crate::codex) fn id(&self) -> Option<&ThreadId> {
        self.id.get()
    }

    /// Each turn is given all its settings, except for those of the thread.
    pub(in crate::codex) fn can_run(&self, wanted: &ThreadSettings) -> bool {
        self.settings.sandbox == wanted.sandbox && self.settings.options.equals(&wanted.options)
    }

    pub(in crate::codex) async fn start_turn(
        &self,
        request: &TurnRequest,
    ) -> Result<Turn, CodexError> {
        let prompt = request.text.clone();
        let schema = request.output_schema.as_ref();
        let schema = schema.map(|schema| self.file(&schema.to_string())).transpose()?;
        let path: Option<PathBuf> = schema.as_ref().map(|file| file.to_path_buf());
        let known = self.id.get().cloned();
        let words = arguments::of(
            (&self.settings, &self.project),
            request,
            known.as_ref(),
            path.as_deref(),
        );
        let mut effective = EffectiveSettings {
            model: request.model.clone(),
            reasoning_effort: request.effort.clone(),
            sandbox: Some(self.settings.sandbox),
            approval_policy: ApprovalPolicy::Never,
            working_directory: request.cwd.clone(),
            writable_roots: self.settings.options.all_writable_roots().unwrap_or_default(),
            network: self.settings.options.network,
            approvals_reviewer: None,
        };
        let caveats = self.caveats(known.as_ref(), &mut effective).await;
        let files = schema.into_iter().collect();
        let started = Run::start(&self.found, words, prompt, files, &self.config, &self.tasks);
        let Started { run, thread, events } = started?;
        let thread = match tokio::time::timeout(self.config.timeout, thread).await {
            Ok(Ok(thread)) => thread,
            Ok(Err(_)) => {
                let cause = Driver::ended(&run).await;
                let reason = cause.stderr_tail();
                let has_own = request.effort.is_some() || !self.settings.options.keys().is_empty();
                return Err(if reason.starts_with("Error loading config") {
                    // Codex names the line of what it finds in a file.
                    if has_own && !reason.contains("TOML parse error at line") {
                        CodexError::CallConfig { reason }
                    } else {
                        CodexError::Configuration { reason }
                    }
                } else {
                    CodexError::Exited(cause)
                });
            }
            Err(_) => {
                run.stop().await;
                return Err(CodexError::Timeout { method: "exec" });
            }
        };
        let is_ours = *self.id.get_or_init(|| thread.clone()) == thread;
        if !is_ours {
            // It would answer without the conversation so far.
            run.stop().await;
            let reason = "Codex began a new conversation instead".to_owned();
            let thread = self.id.get().cloned().unwrap_or(thread);
            return Err(CodexError::ThreadUnavailable { thread, reason });
        }
        // These versions do not name their turns.
        let id = TurnId(self.turns.fetch_add(1, Ordering::Relaxed).to_string());
        Ok(Turn::new(Begun {
            id,
            thread,
            events,
            driver: Arc::new(run),
            effective,
            caveats,
            trust: Trust::default(),
            asked: None,
        }))
    }

    /// What does not hold although Codex accepts it; corrects `effective` by that.
    async fn caveats(
        &self,
        resumed: Option<&ThreadId>,
        effective: &mut EffectiveSettings,
    ) -> Vec<String> {
        let version = self.found.version;
        let mut caveats = Vec::new();
        let model = effective.model.clone().filter(|_| effective.reasoning_effort.is_some());
        if let Some(model) = model.filter(|model| !caveats::sends_effort(version, model, false)) {
            caveats.push(caveats::effort_not_sent(version, &model));
            effective.reasoning_effort = None;
        }
        let record = resumed.and_then(|thread| record::of_thread(&self.config.codex_home, thread));
        if let Some(record) = record {
            caveats.extend(caveats::outdated(
                version,
                &EnvironmentContext::read(record).await,
                effective,
            ));
        }
        caveats
    }

    /// A file that only this user can read, for as long as it is needed.
    fn file(&self, text: &str) -> Result<tempfile::TempPath, CodexError> {
        let written = tempfile::NamedTempFile::new().and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            Ok(file.into_temp_path())
        });
        written.map_err(|error| CodexError::Start {
            binary: self.found.binary.clone(),
            cause: format!("cannot write a file for it: {error}"),
        })
    }
}
