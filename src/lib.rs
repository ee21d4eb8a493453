//! An MCP server over the OpenAI Codex CLI, with named conversations that continue.
