"""Drives every endpoint of a running server with the official `openai` package, as its users do. Called by
tools/check openai; by hand: tools/openai_client.py http://127.0.0.1:8080/v1 [KEY]. Prints a line per check."""
import json
import math
import sys
import time

import openai

BASE, KEY = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "none"
client = openai.OpenAI(base_url=BASE, api_key=KEY, max_retries=0, timeout=120)
MODEL = client.models.list().data[0].id
HELLO = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "paint", "parameters": {
    "type": "object", "properties": {"colour": {"enum": ["red", "green"]}}, "required": ["colour"], "additionalProperties": False}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "strict": True, "schema": {
    "type": "object", "properties": {"n": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["n"], "additionalProperties": False}}}


def models():
    assert client.models.retrieve(MODEL).id == MODEL
    try:
        client.models.retrieve("no-such-model")
        raise AssertionError("a model that is not there was found")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found", error


def chat():
    reply = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=8, temperature=0, n=2)
    assert len(reply.choices) == 2 and reply.choices[0].message.content == reply.choices[1].message.content
    assert reply.usage.completion_tokens == 16, reply.usage


def chat_stream():
    whole = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=8, temperature=0)
    text, usage = "", None
    for chunk in client.chat.completions.create(model=MODEL, messages=HELLO, max_completion_tokens=8, temperature=0, stream=True,
                                                stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        if chunk.choices:
            text += chunk.choices[0].delta.content or ""
    assert text == whole.choices[0].message.content and usage.completion_tokens == 8


def logprobs():
    reply = client.chat.completions.create(model=MODEL, messages=HELLO, max_tokens=3, logprobs=True, top_logprobs=2)
    tokens = reply.choices[0].logprobs.content
    assert len(tokens) == 3 and all(len(t.top_logprobs) == 2 and t.logprob <= 0 for t in tokens)


def schema():
    reply = client.chat.completions.create(model=MODEL, messages=HELLO, response_format=SCHEMA, max_tokens=100)
    assert 1 <= json.loads(reply.choices[0].message.content)["n"] <= 9


def tools():
    common = dict(model=MODEL, messages=HELLO, tools=[TOOL], tool_choice="required", parallel_tool_calls=False, max_tokens=120, temperature=0)
    call = client.chat.completions.create(**common).choices[0].message.tool_calls[0]
    assert call.function.name == "paint" and json.loads(call.function.arguments)["colour"] in ("red", "green")
    with client.chat.completions.stream(**{**common}) as stream:
        for _ in stream:
            pass
        final = stream.get_final_completion().choices[0]
    assert final.finish_reason == "tool_calls" and final.message.tool_calls[0].function.arguments == call.function.arguments


def completions():
    reply = client.completions.create(model=MODEL, prompt=["Once", "Twice"], max_tokens=6, temperature=0, logprobs=1, stop=["zzz"])
    assert len(reply.choices) == 2 and len(reply.choices[0].logprobs.tokens) == 6
    text = "".join(c.choices[0].text for c in client.completions.create(model=MODEL, prompt="Once", max_tokens=6, temperature=0, stream=True))
    assert text == reply.choices[0].text


def embeddings():
    by_base64 = client.embeddings.create(model=MODEL, input=["a cat", "a dog"]).data
    by_float = client.embeddings.create(model=MODEL, input="a cat", encoding_format="float").data[0].embedding
    assert all(abs(a - b) < 1e-6 for a, b in zip(by_base64[0].embedding, by_float)) and by_base64[1].index == 1
    assert math.isclose(sum(v * v for v in by_float), 1, rel_tol=1e-4)


def until_idle():
    for _ in range(100):
        state = json.loads(client._client.get(BASE.removesuffix("/v1") + "/cluster", headers={"Authorization": "Bearer " + KEY}).text)
        if state["running"] == state["waiting"] == 0:
            return
        time.sleep(0.02)
    raise AssertionError(f"a cancelled answer is still being written: {state}")


def cancel():
    """By closing the connection, and by the answer's id: its slot is free at once, and what is written stays."""
    long = dict(model=MODEL, messages=HELLO, max_tokens=400, temperature=0, stream=True)
    stream = client.chat.completions.create(**long)
    next(iter(stream))
    stream.close()
    until_idle()
    stream = client.chat.completions.create(**long, stream_options={"include_usage": True})
    chunks = iter(stream)
    id = next(chunks).id
    assert client.post("/cancel", body={"id": id}, cast_to=object) == {"id": id, "object": "cancellation", "cancelled": True}
    rest = list(chunks)
    assert [c.choices[0].finish_reason for c in rest if c.choices][-1] == "stop" and rest[-1].usage.completion_tokens < 400
    until_idle()
    try:
        client.post("/cancel", body={"id": id}, cast_to=object)
        raise AssertionError("an answer that is over was cancelled")
    except openai.NotFoundError as error:
        assert error.code == "completion_not_found", error


def errors():
    for wrong in ({"temperature": 3}, {"max_tokens": 0}, {"messages": []}):
        try:
            client.chat.completions.create(**{"model": MODEL, "messages": HELLO, **wrong})
            raise AssertionError(f"{wrong} was accepted")
        except openai.BadRequestError as error:
            assert error.param == next(iter(wrong)), error
    try:
        client.completions.create(model=MODEL, prompt="a " * 100000)
        raise AssertionError("an endless prompt was accepted")
    except openai.BadRequestError as error:
        assert error.code == "context_length_exceeded", error


def wrong_key():
    if KEY == "none":
        return
    try:
        openai.OpenAI(base_url=BASE, api_key="wrong", max_retries=0).models.list()
        raise AssertionError("a wrong key was accepted")
    except openai.AuthenticationError as error:
        assert error.code == "invalid_api_key", error


for check in (models, chat, chat_stream, logprobs, schema, tools, completions, embeddings, cancel, errors, wrong_key):
    check()
    print("ok", check.__name__, flush=True)
print("openai", openai.VERSION, "drives every endpoint")
