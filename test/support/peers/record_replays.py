"""Records replays of the peer: `python record_replays.py tiers|states FOLDER`.

`tiers` have tiers below the engine's blocks, or a cache in groups; `states` have recurrent states. Run with the Python of
a Dynamo 1.6.1 installation. Traces and arguments follow from the seeds below, so a second run writes the same files.
"""
import json
import os
import random
import sys

from dynamo.replay import run_trace_replay

LOCAL = {"num_host_blocks": 24, "d2h_bandwidth_gbps": 0.5, "h2d_bandwidth_gbps": 2.0}
SHARED = {"scope": "cluster_shared", "kv_layout_id": "layout", "num_host_blocks": 40}
DISK = {"num_g3_blocks": 12, "read_bandwidth_gbps": 1.0, "write_bandwidth_gbps": 1.0}
# Name, seed, host tier, further engine arguments, dp_size, workers, router, disaggregated.
TIERS = [
    ("host-small-pool", 1, LOCAL, {"num_gpu_blocks": 24}, 1, 1, None, False),
    ("host-latency", 2, {**LOCAL, "latency_to_first_byte_ms": 3.0}, {"num_gpu_blocks": 22}, 1, 1, None, False),
    ("host-instant", 3, {"num_host_blocks": 8, "d2h_bandwidth_gbps": 0, "h2d_bandwidth_gbps": 0}, {}, 1, 1, None, False),
    ("host-dp2", 4, LOCAL, {"num_gpu_blocks": 22, "max_num_batched_tokens": 64}, 2, 1, None, False),
    ("host-divided", 5, LOCAL, {"num_gpu_blocks": 30}, 1, 1, None, True),
    ("host-kv-router", 6, LOCAL, {"num_gpu_blocks": 26}, 1, 1, "kv_router", False),
    ("shared-two-workers", 7, {**SHARED, "shared_h2d_bandwidth_gbps": 0.5}, {"num_gpu_blocks": 26}, 1, 2, None, False),
    ("shared-slow", 8, {**SHARED, "shared_d2h_bandwidth_gbps": 0.1}, {"preemption_mode": "fifo"}, 2, 2, None, False),
    ("shared-divided", 9, SHARED, {"num_gpu_blocks": 30}, 1, 2, None, True),
    ("disk-worker-local", 10, {**LOCAL, "num_host_blocks": 6}, {"g3_offload": {**DISK, "scope": "worker_local"}}, 1, 1, None, False),
    ("disk-shared", 11, {**LOCAL, "num_host_blocks": 8}, {"g3_offload": {**DISK, "scope": "cluster_shared", "shared_read_bandwidth_gbps": 0.5}}, 1, 2, None, False),
    ("disk-behind-shared", 12, {**SHARED, "num_host_blocks": 8}, {"g3_offload": {**DISK, "scope": "cluster_shared"}}, 1, 2, None, False),
]
GROUPS = {"enable_prefix_caching": False, "kv_cache_capacity_bytes": 20_000, "kv_cache_groups": [
    {"name": "full", "kind": "attention", "num_layers": 4, "block_size_tokens": 16, "page_size_bytes": 640},
    {"name": "window", "kind": "attention", "num_layers": 20, "block_size_tokens": 8, "page_size_bytes": 160,
     "sliding_window": 64},
]}
TIERS.append(("grouped", 13, None, GROUPS, 1, 1, None, False))
# A state fills one block for each 4096 bytes.
STATE = {"kv_cache_bytes_per_token": 256, "state_cache": {"bytes_per_request": 6000}}
UNIT = {**STATE, "prefix_match_unit": 4}
DRAFTS = {"aic_nextn": 3, "aic_nextn_accept_rates": "0.85,0.5,0.3"}
STATES = [
    ("states", 21, None, {**STATE, "num_gpu_blocks": 120}, 1, 1, None, False),
    ("states-small-pool", 22, None, {**STATE, "num_gpu_blocks": 34, "max_num_batched_tokens": 32}, 1, 1, None, False),
    ("states-drafts", 23, None, {**STATE, **DRAFTS, "num_gpu_blocks": 33, "max_num_batched_tokens": 64}, 1, 1, None, False),
    ("states-kv-router", 24, None, {**STATE, "num_gpu_blocks": 80, "max_num_batched_tokens": 32}, 1, 1, "kv_router", False),
    ("units", 25, None, {**UNIT, "num_gpu_blocks": 60}, 1, 1, None, False),
    ("units-small-pool", 26, None, {**UNIT, "num_gpu_blocks": 36, "max_num_batched_tokens": 40}, 1, 1, None, False),
    ("units-dp2", 27, None, {**UNIT, "num_gpu_blocks": 36, "preemption_mode": "fifo"}, 2, 1, None, False),
    ("units-no-cache", 28, None, {**UNIT, "num_gpu_blocks": 34, "enable_prefix_caching": False}, 1, 2, None, False),
]
FIELDS = """arrival_time_ms first_admit_ms first_token_ms last_token_ms terminal_time_ms ttft_ms ttst_ms itl_ms
e2e_latency_ms input_length requested_output_length output_length reused_input_tokens prefill_worker_idx
decode_worker_idx prefill_admit_ms source_held_ms destination_reserved_ms destination_activated_ms decode_admit_ms
source_released_ms decode_reused_input_tokens admission_count readmission_count terminal_status""".split()


def trace_of(seed):
    draw = random.Random(seed)
    prefixes = [[100 * group + place for place in range(draw.randint(4, 9))] for group in range(4)]
    rows, now = [], 0
    for line in range(24):
        now += draw.choice([0, draw.randint(1, 40), draw.randint(20, 200)])
        # All lengths differ, so that a record tells which line it belongs to.
        length = 40 + 5 * draw.randint(0, 22) + 130 * (line % 2) + line / 100
        names = (draw.choice(prefixes) + [10_000 + 100 * line + place for place in range(20)])
        rows.append([now, length, draw.choice([1, 2, draw.randint(3, 30)]), names])
    used, made = set(), []
    for now, length, output, names in rows:
        length = int(length)
        while length in used:
            length += 1
        used.add(length)
        made.append({"timestamp": now, "input_length": length, "output_length": output,
                     "hash_ids": names[: -(-length // 16)]})
    return made


def nested_trace_of(seed):
    """Prompts that begin like one another, many of them with whole blocks."""
    draw = random.Random(seed)
    texts = [[100 * group + place for place in range(30)] for group in range(2)]
    blocks = list(range(2, 26))
    draw.shuffle(blocks)
    now, made = 0, []
    for count in blocks:
        now += draw.choice([0, draw.randint(1, 60), draw.randint(20, 300)])
        length = 16 * count + draw.choice([0, 0, 4, 9])
        made.append({"timestamp": now, "input_length": length, "output_length": draw.choice([1, 3, draw.randint(4, 40)]),
                     "hash_ids": draw.choice(texts)[: -(-length // 16)]})
    return made


def text_of(value):
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(json.dumps(item) for item in value) + "\n]"
    return json.dumps(value)


def record(folder, scenario, rows_of):
    name, seed, host, more, ranks, workers, router, divided = scenario
    rows = rows_of(seed)
    path = f"traces/{name}.jsonl"
    with open(os.path.join(folder, path), "w") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    engine = {"block_size": 16, "num_gpu_blocks": 28, **more}
    if host:
        engine |= {"kv_cache_bytes_per_token": 131072, "native_host_offload": host}
    if divided:
        args = {f"{role}_engine_args": {"engine": {**engine, "worker_type": role,
                                                    "kv_transfer_bandwidth": 10.0,
                                                    "kv_transfer_bytes_per_token": 131072}, "dp_size": ranks}
                for role in ("prefill", "decode")}
        args |= {"num_prefill_workers": workers, "num_decode_workers": workers}
    else:
        args = {"engine_args": {"engine": engine, "dp_size": ranks}, "num_workers": workers}
    if router:
        args["router_mode"] = router
    options = {("extra_engine_args" if key == "engine_args" else key):
               (json.dumps(value) if key.endswith("_args") else value) for key, value in args.items()}
    report = run_trace_replay([os.path.join(folder, path)], trace_block_size=16, capture_per_request=True, **options)
    lines = {row["input_length"]: line for line, row in enumerate(rows)}
    requests = [
        {
            "line": lines[request["input_length"]],
            **{field: request.get(field) for field in FIELDS},
            "admissions": [[a["pool"], a["at_ms"], a["reused_input_tokens"], a["is_readmission"]]
                           for a in request["admission_history"]],
            "routing": [[r["pool"], r["logical_worker_id"], r["dp_rank"], r["reported_overlap_tokens"]]
                        for r in request["routing_history"]],
        }
        for request in report.per_request
    ]
    requests.sort(key=lambda request: request["line"])
    hits = [request["reused_input_tokens"] or 0 for request in requests]
    print(name, "cached:", sum(hits), "tokens, within blocks:", sum(hit % 16 > 0 for hit in hits), "preempted:",
          sum(request["readmission_count"] for request in requests))
    host_hits = sum(a.get("host_reused_input_tokens") or 0 for r in report.per_request for a in r["admission_history"])
    print(name, "from the host:", host_hits, "tokens")
    summary = {key: value for key, value in report.summary.items() if "wall" not in key and not key.startswith("processed_tokens_per") and not key.startswith("processed_output")}
    made = {"name": name, "trace": path, "trace_block_size": 16, "args": args, "deterministic": True,
            "summary": summary, "per_request": requests, "passes": []}
    with open(os.path.join(folder, f"{name}.json"), "w") as file:
        fields = ",\n".join(f"{json.dumps(key)}: {text_of(value)}" for key, value in made.items())
        file.write(f"{{\n{fields}\n}}\n")


if __name__ == "__main__":
    kind, folder = sys.argv[1:]
    os.makedirs(os.path.join(folder, "traces"), exist_ok=True)
    scenarios, rows_of = {"tiers": (TIERS, trace_of), "states": (STATES, nested_trace_of)}[kind]
    for scenario in scenarios:
        record(folder, scenario, rows_of)
