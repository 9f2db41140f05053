-- `lsyslog`: the system's log, through the C library.

local ffi = require "ffi"

pcall(ffi.cdef, [[
void openlog(const char *ident, int option, int facility);
void syslog(int priority, const char *format, ...);
void closelog(void);
char *strdup(const char *text);
]])

local C = ffi.C

local M = {}

for i, level in ipairs { "EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG" } do
  M["LOG_" .. level] = i - 1
end

local FACILITIES = {
  KERN = 0, USER = 1, MAIL = 2, DAEMON = 3, AUTH = 4, SYSLOG = 5, LPR = 6, NEWS = 7, UUCP = 8, CRON = 9,
  AUTHPRIV = 10, FTP = 11, LOCAL0 = 16, LOCAL1 = 17, LOCAL2 = 18, LOCAL3 = 19, LOCAL4 = 20, LOCAL5 = 21,
  LOCAL6 = 22, LOCAL7 = 23,
}

for name, number in pairs(FACILITIES) do
  M["FACILITY_" .. name] = number * 8
end

local LOG_PID = 1

-- The C library keeps the pointer to the name, for all threads: names are never freed.
local names = {}
-- Workers are threads, and the library has one facility for all: each message says its own.
local current = 0

--- Names who writes from here on, and to which facility.
function M.open(ident, facility)
  current = facility or M.FACILITY_USER
  if not names[ident] then
    names[ident] = C.strdup(ident)
  end
  C.openlog(names[ident], LOG_PID, current)
end

--- Writes a message of a level.
function M.log(level, message)
  C.syslog(ffi.cast("int", bit.bor(level, current)), "%s", ffi.cast("const char *", message))
end

function M.close()
  C.closelog()
end

return M
