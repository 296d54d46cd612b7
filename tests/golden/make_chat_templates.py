#!/usr/bin/env python3
"""Writes chat_templates.json: chat templates as they were published with the models, dialogues, and what transformers'
apply_chat_template makes of both. A dialogue that a template refuses, or has no form for, is left out.

    python3 tests/golden/make_chat_templates.py        # from the repository's root; needs transformers and jinja2
"""
import json
import pathlib

from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

OUT = pathlib.Path(__file__).resolve().parent / "chat_templates.json"
ALTERNATE = "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"

TOOL_RULES = r'''"# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>" }}
    {%- for tool in tools %}
        {{- "\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call><|im_end|>\n" }}'''
TOOL_RESULTS = r'''
    {%- elif message.role == "tool" %}
        {%- if (loop.index0 == 0) or (messages[loop.index0 - 1].role != "tool") %}
            {{- '<|im_start|>user' }}
        {%- endif %}
        {{- '\n<tool_response>\n' }}
        {{- message.content }}
        {{- '\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}
            {{- '<|im_end|>\n' }}
        {%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}'''

QWEN25 = r'''{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0]['role'] == 'system' %}
        {{- messages[0]['content'] }}
    {%- else %}
        {{- 'You are Qwen, created by Alibaba Cloud. You are a helpful assistant.' }}
    {%- endif %}
    {{- "\n\n" + ''' + TOOL_RULES + r'''
{%- else %}
    {%- if messages[0]['role'] == 'system' %}
        {{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>' + message.role }}
        {%- if message.content %}
            {{- '\n' + message.content }}
        {%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\n<tool_call>\n{"name": "' }}
            {{- tool_call.name }}
            {{- '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}''' + TOOL_RESULTS + "\n{%- endif %}\n"

QWEN3 = r'''{%- if tools %}
    {{- '<|im_start|>system\n' }}
    {%- if messages[0].role == 'system' %}
        {{- messages[0].content + '\n\n' }}
    {%- endif %}
    {{- ''' + TOOL_RULES + r'''
{%- else %}
    {%- if messages[0].role == 'system' %}
        {{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
    {%- endif %}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}
    {%- elif message.role == "assistant" %}
        {%- set content = message.content %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is defined and message.reasoning_content is not none %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- else %}
            {%- if '</think>' in message.content %}
                {%- set content = message.content.split('</think>')[-1].lstrip('\n') %}
                {%- set reasoning_content = message.content.split('</think>')[0].rstrip('\n').split('<think>')[-1].lstrip('\n') %}
            {%- endif %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index %}
            {%- if loop.last or (not loop.last and reasoning_content) %}
                {{- '<|im_start|>' + message.role + '\n<think>\n' + reasoning_content.strip('\n') + '\n</think>\n\n' + content.lstrip('\n') }}
            {%- else %}
                {{- '<|im_start|>' + message.role + '\n' + content }}
            {%- endif %}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\n' + content }}
        {%- endif %}
        {%- if message.tool_calls %}
            {%- for tool_call in message.tool_calls %}
                {%- if (loop.first and content) or (not loop.first) %}
                    {{- '\n' }}
                {%- endif %}
                {%- if tool_call.function %}
                    {%- set tool_call = tool_call.function %}
                {%- endif %}
                {{- '<tool_call>\n{"name": "' }}
                {{- tool_call.name }}
                {{- '", "arguments": ' }}
                {%- if tool_call.arguments is string %}
                    {{- tool_call.arguments }}
                {%- else %}
                    {{- tool_call.arguments | tojson }}
                {%- endif %}
                {{- '}\n</tool_call>' }}
            {%- endfor %}
        {%- endif %}
        {{- '<|im_end|>\n' }}''' + TOOL_RESULTS + r'''
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\n\n</think>\n\n' }}
    {%- endif %}
{%- endif %}
'''

LLAMA31 = r'''{{- bos_token }}
{%- if custom_tools is defined %}
    {%- set tools = custom_tools %}
{%- endif %}
{%- if not tools_in_user_message is defined %}
    {%- set tools_in_user_message = true %}
{%- endif %}
{%- if not date_string is defined %}
    {%- set date_string = "26 Jul 2024" %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}

{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}

{{- "<|start_header_id|>system<|end_header_id|>\n\n" }}
{%- if builtin_tools is defined or tools is not none %}
    {{- "Environment: ipython\n" }}
{%- endif %}
{{- "Cutting Knowledge Date: December 2023\n" }}
{{- "Today Date: " + date_string + "\n\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}

{%- if tools_in_user_message and not tools is none %}
    {%- if messages | length != 0 %}
        {%- set first_user_message = messages[0]['content']|trim %}
        {%- set messages = messages[1:] %}
    {%- else %}
        {{- raise_exception("Cannot put tools in the first user message when there's no first user message!") }}
    {%- endif %}
    {{- '<|start_header_id|>user<|end_header_id|>\n\n' -}}
    {{- "Given the following functions, please respond with a JSON for a function call " }}
    {{- "with its proper arguments that best answers the given prompt.\n\n" }}
    {{- 'Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}.' }}
    {{- "Do not use variables.\n\n" }}
    {%- for t in tools %}
        {{- t | tojson(indent=4) }}
        {{- "\n\n" }}
    {%- endfor %}
    {{- first_user_message + "<|eot_id|>"}}
{%- endif %}

{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' -}}
        {{- '{"name": "' + tool_call.name + '", ' }}
        {{- '"parameters": ' }}
        {{- tool_call.arguments | tojson }}
        {{- "}" }}
        {{- "<|eot_id|>" }}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {{- "<|start_header_id|>ipython<|end_header_id|>\n\n" }}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}
            {{- message.content }}
        {%- endif %}
        {{- "<|eot_id|>" }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\n\n' }}
{%- endif %}
'''


def mistral_v3(space, assistant):
    """7B 0.3 has a space behind its tokens, Nemo has none."""
    return r'''{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- if not tools is defined %}
    {%- set tools = none %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results" or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
            {{- raise_exception("After the optional system message, conversation roles must alternate user/assistant/user/assistant/...") }}
        {%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS]SPACE[" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}
                        {{- '"' + key + '": "' + val + '"' }}
                    {%- else %}
                        {{- '"' + key + '": ' + val|tojson }}
                    {%- endif %}
                    {%- if not loop.last %}
                        {{- ", " }}
                    {%- endif %}
                {%- endfor %}
                {{- "}}" }}
                {%- if not loop.last %}
                    {{- ", " }}
                {%- else %}
                    {{- "]" }}
                {%- endif %}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST]SPACE" + system_message + "\n\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST]SPACE" + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {{- "[TOOL_CALLS]SPACE[" }}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}
            {%- endif %}
            {{- ', "id": "' + tool_call.id + '"}' }}
            {%- if not loop.last %}
                {{- ", " }}
            {%- else %}
                {{- "]" + eos_token }}
            {%- endif %}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}
        {{- ASSISTANT + eos_token}}
    {%- elif message["role"] == "tool_results" or message["role"] == "tool" %}
        {%- if message.content is defined and message.content.content is defined %}
            {%- set content = message.content.content %}
        {%- else %}
            {%- set content = message.content %}
        {%- endif %}
        {{- '[TOOL_RESULTS]SPACE{"content": ' + content|string + ", " }}
        {%- if not message.tool_call_id is defined or message.tool_call_id|length != 9 %}
            {{- raise_exception("Tool call IDs should be alphanumeric strings with length 9!") }}
        {%- endif %}
        {{- '"call_id": "' + message.tool_call_id + '"}[/TOOL_RESULTS]' }}
    {%- else %}
        {{- raise_exception("Only user and assistant roles are supported, with the exception of an initial optional system message!") }}
    {%- endif %}
{%- endfor %}
'''.replace("SPACE", space).replace("ASSISTANT", assistant)


# name of the model, of our template, begin and end token, template
TEMPLATES = [
    ("Llama 2", "llama-2", "<s>", "</s>",
     r"{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% set system_message = false %}{% endif %}{% for message in loop_messages %}" + ALTERNATE +
     r"{% if loop.index0 == 0 and system_message != false %}{% set content = '<<SYS>>\n' + system_message + '\n<</SYS>>\n\n' + message['content'] %}{% else %}{% set content = message['content'] %}{% endif %}{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ ' '  + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"),
    ("Llama 3", "llama-3", "<|begin_of_text|>", "<|eot_id|>",
     r"{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"),
    ("Llama 3.1", "llama-3.1", "<|begin_of_text|>", "<|eot_id|>", LLAMA31),
    ("ChatML", "chatml", "<s>", "</s>",
     r"{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"),
    ("Qwen2", "qwen2", "", "<|im_end|>",
     r"{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"),
    ("Qwen2.5", "qwen2.5", "", "<|im_end|>", QWEN25),
    ("Qwen3", "qwen3", "", "<|im_end|>", QWEN3),
    ("Mistral 7B 0.1, Mixtral", "mistral-v1", "<s>", "</s>",
     r'''{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{{- bos_token }}
{%- for message in loop_messages %}
    ''' + ALTERNATE + r'''
    {%- if message["role"] == "user" %}
        {%- if loop.first and system_message is defined %}
            {{- " [INST] " + system_message + "\n\n" + message["content"] + " [/INST]" }}
        {%- else %}
            {{- " [INST] " + message["content"] + " [/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"] + eos_token}}
    {%- endif %}
{%- endfor %}
'''),
    ("Mistral 7B 0.3", "mistral-v3", "<s>", "</s>", mistral_v3(" ", '" " + message["content"]|trim')),
    ("Mistral Nemo", "mistral-v3-tekken", "<s>", "</s>", mistral_v3("", 'message["content"]')),
    ("Mistral Large 2411", "mistral-v7", "<s>", "</s>",
     r"{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + '[/INST]' }}{% elif message['role'] == 'system' %}{{ '[SYSTEM_PROMPT] ' + message['content'] + '[/SYSTEM_PROMPT]' }}{% elif message['role'] == 'assistant' %}{{ ' ' + message['content'] + eos_token }}{% else %}{{ raise_exception('Only user, system and assistant roles are supported!') }}{% endif %}{% endfor %}"),
    ("Gemma 2", "gemma", "<bos>", "<eos>",
     r"{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}" + ALTERNATE +
     r"{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"),
    ("Gemma 3", "gemma", "<bos>", "<eos>",
     r'''{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- set first_user_prefix = messages[0]['content'] + '\n\n' -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    ''' + ALTERNATE + r'''
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\n' + (first_user_prefix if loop.first else "") }}
    {%- if message['content'] is string -%}
        {{ message['content'] | trim }}
    {%- endif -%}
    {{ '<end_of_turn>\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{'<start_of_turn>model\n'}}
{%- endif -%}
'''),
    ("Phi-3.5-mini", "phi-3", "<s>", "<|endoftext|>",
     r"{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}{{'<|system|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'assistant' %}{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"),
    ("Phi-3-mini", "phi-3-mini", "<s>", "<|endoftext|>",
     r"{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') %}{{'<|user|>' + '\n' + message['content'] + '<|end|>' + '\n' + '<|assistant|>' + '\n'}}{% elif (message['role'] == 'assistant') %}{{message['content'] + '<|end|>' + '\n'}}{% endif %}{% endfor %}"),
]

ODD = ["a \"b\" \\ 'c' {{ d }} {% e %}\t\u00e9\u4f60\U0001f600", "<|im_end|><|eot_id|>[/INST]</s><end_of_turn><|end|>", "line\r\n\r\nline"]
PARAMETERS = {"type": "object", "properties": {"b": {"type": "array", "items": {"type": "number"}}, "a": {"type": "integer", "description": "gr\u00f6\u00dfe \"x\"\n"}}, "required": ["b"]}
TOOLS = [{"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": PARAMETERS}}, {"type": "function", "function": {"name": "now", "description": "The time in it\u00e9.", "parameters": {"type": "object", "properties": {}}}}]


def said(*texts, system=None):
    turns = [{"role": "user" if i % 2 == 0 else "assistant", "content": text} for i, text in enumerate(texts)]
    return ([] if system is None else [{"role": "system", "content": system}]) + turns


def call(name, arguments, content="", id="abcdefghi"):
    return {"role": "assistant", "content": content, "tool_calls": [{"type": "function", "id": id, "function": {"name": name, "arguments": arguments}}]}


def result(content, id="abcdefghi"):
    return {"role": "tool", "content": content, "tool_call_id": id}


ARGUMENTS = {"a": -3, "b": [2, 0.5, 1e-7, 1e20, 123456789012345], "c": {"d": None, "e": [True, {}], "f": "\u00e9\"\\\n\u4f60/"}, "g": []}
CASES = {
    "a question": said("Hi"),
    "a system text": said("Hi", system="Be brief."),
    "spaces": said(" Hi ", " Yo ", "2+2?", system=" Be brief. "),
    "lines around": said("\n\n Hi\t\n", "\n\nYo\n\n", "\r\n\x0b\x0c2+2?\n", system="\n Be brief.\n\n"),
    "wide spaces": said("\u00a0\u3000Hi\u2003\u2028", "\u1680Yo\u202f\u205f", "\u0085\x1c2+2?\x1f\u200a", system="\u3000Be brief.\u00a0"),
    "no space": said("\u200bHi\ufeff\u180e", "\u2060Yo", "x"),
    "an answer": said("Hi", "Yo"),
    "long": said("1", "2", "3", "4", "5", system="s"),
    "long without a system text": said("1", "2", "3", "4", "5"),
    "odd characters": said(ODD[0], ODD[1], ODD[2], system=ODD[0] + ODD[1]),
    "empty": said("", "", ""),
    "empty system text": said("Hi", system=""),
    "blank": said("  ", " \n ", " ", system=" "),
    "two questions": [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
    "two answers": said("a", "b") + [{"role": "assistant", "content": "c"}, {"role": "user", "content": "d"}],
    "thought": said("a", "<think>\nhm\n</think>\n\nb", "c", "<think>\nso\n</think>\n\nd"),
    "thought before": said("a", "<think>\nhm\n\nhm\n</think>\n\nb", "c"),
    "odd thoughts": said("a", "x<think>hm</think>y</think>\n\nb", "c", "\n\n<think>\n\n\nso\n\n</think>d\n"),
    "tools": (said("1+2?"), TOOLS),
    "tools and a system text": (said("1+2?", system=" s "), TOOLS),
    "tools later": (said("a", "b", "1+2?"), TOOLS),
    "a call": (said("1+2?") + [call("add", ARGUMENTS), result("3")], TOOLS),
    "a call and an answer": (said("1+2?") + [call("add", {"a": 1}), result("3"), {"role": "assistant", "content": "3."}, {"role": "user", "content": "Thanks"}], TOOLS),
    "words and a call": (said("1+2?") + [call("add", {}, "Let me see."), result("[1, 2.5]")], TOOLS),
    "a thought and a call": (said("1+2?") + [call("add", {"a": 1}, "<think>\nhm\n</think>\n\n"), result("3")], TOOLS),
    "two calls": (said("1+2?") + [{"role": "assistant", "content": "", "tool_calls": call("add", {"a": 1})["tool_calls"] + call("now", {}, id="123456789")["tool_calls"]}, result("3"), result("\"12:00\"", "123456789")], TOOLS),
}
# What templates do that ours do on purpose otherwise, or leave undefined: the first Phi-3-mini drops system texts and begins
# an answer behind every question, templates of Mistral 7B 0.3 and Nemo drop the system text when the last turn is no
# question, and earlier ones than Qwen 2.5 print nothing of tools and calls.
TOOLED = {"llama-3.1", "qwen2.5", "qwen3", "mistral-v3", "mistral-v3-tekken"}


def comparable(name, messages, tools, prompt):
    last = messages[-1]["role"]
    system = messages[0]["role"] == "system"
    if name == "phi-3-mini" and (system or not prompt or last != "user" or any(a["role"] == b["role"] for a, b in zip(messages, messages[1:]))):
        return False
    if name.startswith("mistral-v3") and system and last != "user":
        return False
    if name.startswith("mistral-v7") and any(a["role"] == b["role"] for a, b in zip(messages, messages[1:])):
        return False
    if name == "llama-3.1" and any(m.get("tool_calls") and m["content"] for m in messages):
        return False
    if name.startswith("mistral") and any(m.get("tool_calls") and m["content"] for m in messages):
        return False
    return not tools or name in TOOLED


def render(template, begin, end, messages, tools, prompt, thinking):
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.BPE()), bos_token=begin or None, eos_token=end)
    extra = {} if thinking else {"enable_thinking": False}
    return tokenizer.apply_chat_template(messages, chat_template=template, tools=tools or None, tokenize=False, add_generation_prompt=prompt, **extra)


def main():
    golden = {"dialogues": {}, "templates": []}
    for name, case in CASES.items():
        messages, tools = case if isinstance(case, tuple) else (case, [])
        golden["dialogues"][name] = {"messages": messages, "tools": tools}
    for model, name, begin, end, template in TEMPLATES:
        rendered = []
        for title, dialogue in golden["dialogues"].items():
            for prompt, thinking in [(True, True), (False, True)] + ([(True, False)] if name == "qwen3" else []):
                messages, tools = dialogue["messages"], dialogue["tools"]
                if not prompt and "add_generation_prompt" not in template:
                    continue
                if not comparable(name, messages, tools, prompt):
                    continue
                try:
                    text = render(template, begin, end, messages, tools, prompt, thinking)
                except Exception as error:  # what raise_exception becomes
                    if "alternate" not in str(error) and "not supported" not in str(error) and "single tool-calls" not in str(error):
                        raise
                    continue
                rendered.append({"dialogue": title, "prompt": prompt, "thinking": thinking, "text": text})
        golden["templates"].append({"model": model, "name": name, "template": template, "rendered": rendered})
    OUT.write_text(json.dumps(golden, indent=0, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
