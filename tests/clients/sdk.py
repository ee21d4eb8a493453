"""A conversation by the Python SDK: python sdk.py MODE SERVER-AS-JSON. Prints one JSON line per call."""

import asyncio
import json
import sys

import httpx2
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitResult

CALLS = [
    ("codex", {"prompt": "say one", "sessionId": "s"}),
    ("codex", {"prompt": "history", "sessionId": "s"}),
    ("listSessions", {}),
    ("getSession", {"sessionId": "nope"}),
    ("codex", {"prompt": "escalate echo asked", "sessionId": "s", "sandbox": "workspace-write"}),
]


async def decide(context, params):
    return ElicitResult(action="accept", content={"decision": "accept"})


async def main():
    mode, server = sys.argv[1], json.loads(sys.argv[2])
    if "url" in server:
        http = httpx2.AsyncClient(headers=server["headers"], timeout=60)
        parameters = streamable_http_client(server["url"], http_client=http)
    else:
        parameters = StdioServerParameters(**server)
    async with Client(parameters, mode=mode, elicitation_callback=decide) as client:
        for name, arguments in CALLS:
            result = await client.call_tool(name, arguments)
            text = result.content[0].text
            shown = {"isError": result.is_error, "text": text, "structured": result.structured_content}
            print(json.dumps(shown))


asyncio.run(main())
