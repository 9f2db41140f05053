--- `resty.openssl.version`: what users ask before they choose a way; the answers are those of OpenSSL 3.2,
--- whose behaviour these modules have, though none is linked.

local TEXT = "OpenSSL 3.2.3 3 Sep 2024"

-- what `info` is asked for by its own numbers
local INFO = {
  [1001] = "/usr/lib/ssl",
  [1002] = "N/A",
  [1003] = "N/A",
  [1004] = ".so",
  [1005] = "/",
  [1006] = ":",
  [1007] = "os-specific",
  [1008] = "N/A",
}

local TEXTS = {
  [0] = TEXT,
  "compiler: rustc",
  "built on: date not available",
  "platform: linux",
  'OPENSSLDIR: "/usr/lib/ssl"',
  'ENGINESDIR: N/A',
  "3.2.3",
  "3.2.3",
  'MODULESDIR: N/A',
  "CPUINFO: N/A",
}

return {
  version_num = 0x30200030,
  version_text = TEXT,
  version = function(what)
    return TEXTS[what or 0] or "not available"
  end,
  info = function(what)
    return INFO[what]
  end,
  INFO_CONFIG_DIR = 1001,
  INFO_ENGINES_DIR = 1002,
  INFO_MODULES_DIR = 1003,
  INFO_DSO_EXTENSION = 1004,
  INFO_DIR_FILENAME_SEPARATOR = 1005,
  INFO_LIST_SEPARATOR = 1006,
  INFO_SEED_SOURCE = 1007,
  INFO_CPU_SETTINGS = 1008,
  VERSION = 0,
  CFLAGS = 1,
  BUILT_ON = 2,
  PLATFORM = 3,
  DIR = 4,
  ENGINES_DIR = 5,
  VERSION_STRING = 6,
  FULL_VERSION_STRING = 7,
  MODULES_DIR = 8,
  CPU_INFO = 9,
  OPENSSL_30 = false,
  OPENSSL_3X = true,
  OPENSSL_4X = false,
  OPENSSL_3_UP = true,
  OPENSSL_111 = false,
}
