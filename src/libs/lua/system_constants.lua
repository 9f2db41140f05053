-- `lua_system_constants`: numbers of the system's interface (Linux), each behind a function.

local NUMBERS = {
  O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_CREAT = 0x40, O_EXCL = 0x80, O_TRUNC = 0x200, O_APPEND = 0x400,
  S_IRUSR = 0x100, S_IWUSR = 0x80, S_IXUSR = 0x40,
  S_IRGRP = 0x20, S_IWGRP = 0x10, S_IXGRP = 8,
  S_IROTH = 4, S_IWOTH = 2, S_IXOTH = 1,
}

local M = {}

for name, number in pairs(NUMBERS) do
  M[name] = function() return number end
end

return M
