# SPDX-License-Identifier: Apache-2.0
"""Firecracker's API as its documentation gives it: the model that the monitor
is compared with.

It shares nothing with the monitor's own table.  A field is (name, type,
required, good value).
"""

U8, U16, U32, U64 = "u8", "u16", "u32", "u64"
BOOL, TEXT, OBJECT = "a boolean", "a string", "object"
MOST = {U8: 255, U16: 65535, U32: 4294967295}

BUCKET = [("size", U64, True, 1000), ("one_time_burst", U64, False, 5),
          ("refill_time", U64, True, 100)]
LIMITER_VALUE = {"bandwidth": {"size": 1000000, "refill_time": 1000}}


class Words(list):
    """The type of a field that holds one of a list."""


class Endpoint:
    def __init__(self, method, path, when, fields=None, **more):
        self.method = method
        self.path = path
        self.when = when  # "before", "after", "any"
        self.fields = fields
        self.struct = more.get("struct")
        self.id = more.get("id")
        self.hotplug = more.get("hotplug", False)

    def good(self):
        """A body with everything, and one with no more than it must have."""
        return ({f[0]: f[3] for f in self.fields},
                {f[0]: f[3] for f in self.fields if f[2]})


def endpoints(files):
    """FILES: names of a kernel, an initrd, a disk, a tap (or None), a socket."""
    limiter = ("rate_limiter", OBJECT, False, LIMITER_VALUE)
    drive = [("drive_id", TEXT, True, "rootfs"),
             ("partuuid", TEXT, False, "0eaa91a0-01"),
             ("is_root_device", BOOL, True, True),
             ("cache_type", Words(["Unsafe", "Writeback"]), False,
              "Writeback"),
             ("is_read_only", BOOL, False, False),
             ("path_on_host", TEXT, True, files["disk"]),
             limiter,
             ("io_engine", Words(["Sync", "Async"]), False, "Sync")]
    machine = [("vcpu_count", U8, True, 2), ("mem_size_mib", U64, True, 64),
               ("smt", BOOL, False, False),
               ("track_dirty_pages", BOOL, False, False),
               ("huge_pages", Words(["None", "Transparent", "2M"]), False,
                "None")]
    loose = [(n, t, False, v) for n, t, _, v in machine]
    rates = [("rx_rate_limiter", OBJECT, False, LIMITER_VALUE),
             ("tx_rate_limiter", OBJECT, False, LIMITER_VALUE)]
    rows = [
        Endpoint("GET", "/", "any"),
        Endpoint("GET", "/version", "any"),
        Endpoint("GET", "/vm/config", "any"),
        Endpoint("GET", "/machine-config", "any"),
        Endpoint("PUT", "/machine-config", "before", machine,
                 struct="MachineConfig"),
        Endpoint("PATCH", "/machine-config", "before", loose,
                 struct="MachineConfigUpdate"),
        Endpoint("PUT", "/boot-source", "before", [
            ("kernel_image_path", TEXT, True, files["kernel"]),
            ("initrd_path", TEXT, False, files["initrd"]),
            ("boot_args", TEXT, False, "console=ttyS0 reboot=k panic=1"),
        ], struct="BootSourceConfig"),
        Endpoint("PUT", "/drives/rootfs", "before", drive, id="drive_id",
                 struct="BlockDeviceConfig", hotplug=True),
        Endpoint("PUT", "/vsock", "before", [
            ("guest_cid", U32, True, 5), ("uds_path", TEXT, True,
                                          files["socket"]),
        ], struct="VsockDeviceConfig"),
        Endpoint("PUT", "/balloon", "before", [
            ("amount_mib", U32, True, 8), ("deflate_on_oom", BOOL, True, True),
            ("stats_polling_interval_s", U16, False, 1),
            ("free_page_hinting", BOOL, False, False),
            ("free_page_reporting", BOOL, False, True),
        ], struct="BalloonDeviceConfig"),
        Endpoint("PUT", "/entropy", "before", [limiter],
                 struct="EntropyDeviceConfig"),
        Endpoint("PUT", "/actions", "any", [
            ("action_type", Words(["InstanceStart", "FlushMetrics",
                                   "SendCtrlAltDel"]), True, "FlushMetrics"),
        ], struct="ActionBody"),
        Endpoint("GET", "/balloon", "any"),
        Endpoint("PATCH", "/drives/rootfs", "after", [
            ("drive_id", TEXT, True, "rootfs"),
            ("path_on_host", TEXT, False, files["disk"]), limiter,
        ], id="drive_id", struct="BlockDeviceUpdateConfig"),
        Endpoint("PATCH", "/balloon", "after", [
            ("amount_mib", U32, True, 12)], struct="BalloonUpdateConfig"),
        Endpoint("GET", "/balloon/statistics", "after"),
        Endpoint("PATCH", "/balloon/statistics", "after", [
            ("stats_polling_interval_s", U16, True, 2)],
            struct="BalloonUpdateStatsConfig"),
        Endpoint("PATCH", "/vm", "after", [
            ("state", Words(["Paused", "Resumed"]), True, "Resumed")],
            struct="Vm"),
    ]
    if files["tap"]:
        rows += [
            Endpoint("PUT", "/network-interfaces/eth0", "before", [
                ("iface_id", TEXT, True, "eth0"),
                ("host_dev_name", TEXT, True, files["tap"]),
                ("guest_mac", TEXT, False, "06:00:ac:10:00:02"),
                ("mtu", U16, False, 1400), *rates,
            ], id="iface_id", struct="NetworkInterfaceConfig", hotplug=True),
            Endpoint("PATCH", "/network-interfaces/eth0", "after",
                     [("iface_id", TEXT, True, "eth0"), *rates],
                     id="iface_id", struct="NetworkInterfaceUpdateConfig"),
        ]
    return rows


BAD_JSON = ("An error occurred when deserializing the json body of a request: "
            "{}.")
TIME = "The requested operation is not supported {} starting the microVM."


def list_names(names):
    names = [f"`{n}`" for n in names]
    if len(names) == 1:
        return names[0]
    if len(names) == 2:
        return f"{names[0]} or {names[1]}"
    return "one of " + ", ".join(names)


def serde_name(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"boolean `{str(value).lower()}`"
    if isinstance(value, int):
        return f"integer `{value}`"
    if isinstance(value, float):
        return f"floating point `{value}`"
    if isinstance(value, str):
        return f'string "{value}"'
    return "sequence" if isinstance(value, list) else "map"


def wrong_values(kind):
    """Values that KIND does not take, and what serde says of each."""
    others = [None, True, 7, 1.5, "word", [1], {"a": 1}]
    if isinstance(kind, Words):
        yield "word", f"unknown variant `word`, expected {list_names(kind)}"
        return
    for value in others:
        if kind == BOOL and isinstance(value, bool):
            continue
        if kind == TEXT and isinstance(value, str):
            continue
        if kind in (U8, U16, U32, U64) and value == 7 and \
                not isinstance(value, bool):
            continue
        if kind == OBJECT and isinstance(value, (dict, list)):
            continue
        wanted = "struct RateLimiterConfig" if kind == OBJECT else kind
        yield value, (f"invalid type: {serde_name(value)}, expected "
                      f"{wanted}")
    if kind in (U8, U16, U32, U64):
        yield -1, f"invalid value: integer `-1`, expected {kind}"
    if kind in MOST:
        yield MOST[kind] + 1, (f"invalid value: integer `{MOST[kind] + 1}`, "
                               f"expected {kind}")


def bad_bodies(row):
    """(what, bytes, fault message) of every single mistake in ROW's body."""
    import json
    full, _ = row.good()
    names = [f[0] for f in row.fields]
    yield "not JSON", b"{", None
    yield "a list", b"[]", BAD_JSON.format(
        f"invalid type: sequence, expected struct {row.struct} at line 1 "
        "column 0")
    yield "a word", b'"x"', BAD_JSON.format(
        f'invalid type: string "x", expected struct {row.struct} at line 1 '
        "column 3")
    yield "two", b"{} {}", BAD_JSON.format(
        "trailing characters at line 1 column 4")
    text = json.dumps({**full, "what_is_this": 1})
    column = text.index('"what_is_this"') + len('"what_is_this"')
    yield "unknown", text.encode(), BAD_JSON.format(
        "unknown field `what_is_this`, expected "
        f"{known_names(row, names)} at line 1 column {column}")
    for name, kind, required, _ in row.fields:
        rest = {k: v for k, v in full.items() if k != name}
        if required:
            text = json.dumps(rest)
            yield f"no {name}", text.encode(), BAD_JSON.format(
                f"missing field `{name}` at line 1 column {len(text)}")
        for value, said in wrong_values(kind):
            if value is None and not required:
                continue
            text = json.dumps({name: value})
            whole = json.dumps(value)
            end = len(text) - 1
            if isinstance(value, (dict, list)):
                end -= len(whole)
            yield f"{name} {whole}", text.encode(), BAD_JSON.format(
                f"{said} at line 1 column {end}")
        text = f'{{"{name}": {json.dumps(full[name])}, "{name}": 1}}'
        yield f"two {name}", text.encode(), BAD_JSON.format(
            f"duplicate field `{name}` at line 1 column "
            f"{text.rindex(name) + len(name) + 1}")


# Fields that are there, but not in the good bodies above.
HIDDEN = {"MachineConfig": [(3, "cpu_template")],
          "MachineConfigUpdate": [(3, "cpu_template")],
          "BlockDeviceConfig": [(8, "socket")],
          "VsockDeviceConfig": [(0, "vsock_id")]}


def known_names(row, names):
    names = list(names)
    for at, name in HIDDEN.get(row.struct, []):
        names.insert(at, name)
    return list_names(names)
