-- The words of the output handlers.

local say = require("say")

say:set_namespace("en")

for word, names in pairs {
  success = { "Success", "success", "successes" },
  failure = { "Failure", "failure", "failures" },
  error = { "Error", "error", "errors" },
  pending = { "Pending", "pending", "pending" },
} do
  say:set("output." .. word, names[1])
  say:set("output." .. word .. "_single", names[2])
  say:set("output." .. word .. "_plural", names[3])
  say:set("output." .. word .. "_zero", names[3])
end

say:set("output.seconds", "seconds")
say:set("output.no_test_files_match", "No test files found matching Lua pattern: %s")
say:set("output.file_not_found", "Cannot find file or directory: %s")

return {}
