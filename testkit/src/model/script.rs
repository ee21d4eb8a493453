//! The responder that does what the last user message says.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ModelRequest, Reply};

/// Answers by the last user message: its last line is a verb and its object.
///
/// | prompt | the model |
/// |---|---|
/// | `say TEXT` | answers TEXT |
/// | `history` | answers with everything the user said before, one line each |
/// | `settings` | answers with the model and effort it was asked for |
/// | `slow SECONDS TEXT` | begins to answer, then finishes after a while |
/// | `gather COUNT TEXT` | answers TEXT once that many turns wait for it at the same time |
/// | `run LINE` | runs LINE in a shell, then answers `ran: ` and the output |
/// | `work COUNT SECONDS` | that often says what it does, taking so long, and runs a command; then sums up |
/// | `linger LINE` | runs LINE in a shell, then another line that takes a minute |
/// | `escalate LINE` | the same outside the sandbox, which needs an approval |
/// | `both LINE` | the same twice at once, which needs two approvals |
/// | `plan STEP` | says that it has done one step and goes on with STEP, then as after `run` |
/// | `patch NAME` | adds a file of that name, then as after `run` |
/// | `call TOOL ARGUMENTS` | calls a tool of Codex, then as after `run` |
/// | `spawn PROMPT` | lets Codex start a sub-agent that is told PROMPT, and waits for it |
/// | `leave PROMPT` | the same, and does not wait |
/// | `big BYTES` | answers with that many bytes |
/// | `used PERCENT UNIX_TIME` | answers, and says how much of the allowance is used, until when |
/// | `exhausted UNIX_TIME` | refuses because the allowance is used up until then |
/// | `status CODE` | fails with that HTTP status |
/// | `refuse MESSAGE` | finds the request wrong, in these words |
/// | `cut` | breaks the stream off |
/// | `overflow` | fails because the context window is full |
///
/// A review finds two things, and says in the worse one what it was asked; by its last line it does otherwise:
/// `approve SUMMARY`, `find FINDINGS` (JSON), `truncate BYTES`, `answer TEXT`. A prompt that begins with `Search
/// the web` opens a page and answers with a link.
///
/// Anything else is repeated: `you said: …`. A model whose name begins with `missing` does not exist.
pub fn script(request: &ModelRequest) -> Reply {
    if request.model().starts_with("missing") {
        return Reply::status(404, format!("The model `{}` does not exist", request.model()));
    }
    let prompts = request.prompts();
    let prompt = prompts.last().map_or("", |text| text.lines().last().unwrap_or_default());
    if let Some(object) = prompt.strip_prefix("work ") {
        return work(object, request.outputs());
    }
    if let Some(output) = request.tool_output() {
        if prompt.starts_with("leave ") {
            return Reply::text("an agent works on it");
        }
        if let Some(agent) = spawned(&output) {
            let arguments = json!({"targets": [agent], "timeout_ms": 60_000});
            return Reply::call(tool(request, "wait_agent"), arguments);
        }
        if prompt.starts_with("linger ") {
            return Reply::command("sleep 60");
        }
        return Reply::text(format!("ran: {output}"));
    }
    if request.is_review() {
        return review(prompt);
    }
    let (verb, object) = prompt.split_once(' ').unwrap_or((prompt, ""));
    match verb {
        "say" => Reply::text(object),
        "history" => {
            let earlier = prompts.len().saturating_sub(1);
            Reply::text(prompts.iter().take(earlier).cloned().collect::<Vec<_>>().join("\n"))
        }
        "settings" => {
            let effort = request.effort().unwrap_or("none");
            Reply::text(format!("model={} effort={effort}", request.model()))
        }
        "slow" => {
            let (seconds, text) = object.split_once(' ').unwrap_or((object, "slowly done"));
            Reply::text(text).after(Duration::from_secs_f64(seconds.parse().unwrap_or(1.0)))
        }
        "gather" => {
            let (count, text) = object.split_once(' ').unwrap_or((object, "gathered"));
            Reply::text(text).together(count.parse().unwrap_or(1))
        }
        "run" | "linger" => Reply::command(object),
        "plan" => Reply::call(
            "update_plan",
            json!({"plan": [
                {"step": "look", "status": "completed"}, {"step": object, "status": "in_progress"},
                {"step": "rest", "status": "pending"},
            ]}),
        ),
        "patch" => {
            let patch = format!("*** Begin Patch\n*** Add File: {object}\n+new\n*** End Patch");
            Reply::command(format!("apply_patch <<'EOF'\n{patch}\nEOF"))
        }
        "call" => {
            let (tool, arguments) = object.split_once(' ').unwrap_or((object, "{}"));
            Reply::call(tool, arguments.parse().unwrap_or_default())
        }
        "escalate" => Reply::escalated_command(object),
        "both" => Reply::escalated_twice(object),
        // Codex asks once more when an agent has ended.
        "spawn" if request.has_called("spawn_agent") => Reply::text("the agent is done"),
        "spawn" | "leave" => {
            let arguments = json!({"message": object, "agent_type": "default"});
            Reply::call(tool(request, "spawn_agent"), arguments)
        }
        "big" => Reply::text("0123456789abcdef".repeat(object.parse::<usize>().unwrap_or(16) / 16)),
        "used" => {
            let (percent, until) = object.split_once(' ').unwrap_or((object, "0"));
            let percent = percent.parse().unwrap_or_default();
            Reply::text("used").with_rate_limit(percent, until.parse().unwrap_or_default())
        }
        "exhausted" => Reply::usage_limit(object.parse().unwrap_or_default()),
        "status" => {
            let code = object.parse().unwrap_or(500);
            Reply::status(code, format!("scripted failure {code}"))
        }
        "refuse" => Reply::status(400, object),
        "cut" => Reply::cut("half an ans"),
        "overflow" => Reply::failed(
            "context_length_exceeded",
            "Your input exceeds the context window of this model.",
        ),
        "Search" => Reply::searched(
            "https://example.com/opened",
            "See [the linked page](https://example.com/linked).",
        ),
        _ => Reply::text(format!("you said: {prompt}")),
    }
}

/// One step of several, with what is said before it.
fn work(object: &str, done: usize) -> Reply {
    let (count, seconds) = object.split_once(' ').unwrap_or((object, "0"));
    let delay = Duration::from_secs_f64(seconds.parse().unwrap_or_default());
    if done >= count.parse().unwrap_or(1) {
        return Reply::text(format!("All {done} steps are done: ä, 😀 and **bold**.")).after(delay);
    }
    let step = done + 1;
    let said = format!("Step {step} begins: I look at part {step} of it, ä and 😀.");
    Reply::command(format!("echo printed {step}; exit {done}")).saying(said).after(delay)
}

/// A tool for sub-agents, in the namespace where this Codex has it.
fn tool(request: &ModelRequest, name: &str) -> String {
    let is_in_namespace = request.tool("multi_agent_v1").is_some();
    if is_in_namespace { format!("multi_agent_v1.{name}") } else { name.to_owned() }
}

/// The sub-agent that has just been started, if this is what the tool said.
fn spawned(output: &str) -> Option<String> {
    let output: Value = serde_json::from_str(output).ok()?;
    Some(output.get("agent_id")?.as_str()?.to_owned())
}

/// A review in the form that is asked for: the first finding is in what has changed.
fn review(prompt: &str) -> Reply {
    let found = |title: &str, severity: &str, confidence: f64, line: u32, body: String| {
        json!({"title": title, "severity": severity, "confidence": confidence, "file": "a.txt",
            "lineStart": line, "lineEnd": line + 1, "body": body, "recommendation": "Count again."})
    };
    let verdict = json!({
        "verdict": "needs-attention",
        "summary": "Two things.",
        "findings": [
            found("Says too little", "low", 0.4, 70, "More words.".to_owned()),
            found("Counts wrong", "high", 0.9, 2, format!("Asked: {prompt}")),
        ],
    });
    let verdict = verdict.to_string();
    match prompt.split_once(' ') {
        Some(("approve", summary)) => Reply::text(
            json!({"verdict": "approve", "summary": summary, "findings": []}).to_string(),
        ),
        Some(("find", findings)) => {
            let findings: Value = findings.parse().unwrap_or_default();
            let all = json!({"verdict": "needs-attention", "summary": "", "findings": findings});
            Reply::text(all.to_string())
        }
        Some(("truncate", bytes)) => {
            Reply::text(verdict.get(..bytes.parse().unwrap_or(9)).unwrap_or_default())
        }
        Some(("answer", text)) => Reply::text(text),
        _ => Reply::text(verdict),
    }
}
