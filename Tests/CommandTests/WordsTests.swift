import Foundation
import Testing

/// What a person reads when a command fails: words, never a type of the program or a code of a library.
@Suite struct WordsTests {
  /// Files that commands are pointed at.
  private struct Place {
    let folder = TemporaryFolder()
    var path: String { folder.path }

    init() throws {
      for (name, text) in [
        ("file", "x"), ("broken.yaml", "workers: [1\n"), ("list.yaml", "- 1\n"), ("unknown.yaml", "wrokers: 1\n"),
        ("text.yaml", "workers: many\n"), ("good.yaml", "workers: 1\n"), ("broken.json", "{\"format\": "),
        ("other.json", "{}"), ("model.safetensors", "nonsense that is longer than eight bytes"),
        ("hosts", "node1 wrokers=1\n"),
      ] {
        try Data(text.utf8).write(to: URL(filePath: "\(path)/\(name)"))
      }
      try Data([0xFF, 0xFE, 0x00]).write(to: URL(filePath: "\(path)/bytes.yaml"))
      for folder in ["empty", "data", "full"] {
        try FileManager.default.createDirectory(atPath: "\(path)/\(folder)", withIntermediateDirectories: true)
      }
      try Data("x".utf8).write(to: URL(filePath: "\(path)/full/x"))
    }
  }

  /// Commands that fail before they start anything, and the exit code of each; `@` stands for the folder of the files.
  static let failing: [(command: String, code: Int32)] = [
    // Where a run's folder cannot be.
    ("train --max-steps 1 --run-dir @/file", 78),
    ("train --max-steps 1 --run-dir @/file/run", 78),
    ("train --max-steps 1 --run-dir /dev/full", 78),
    ("train --max-steps 1 --run-dir /proc/run", 78),
    ("train --max-steps 1 --run-dir @/new/../file", 78),
    ("train --max-steps 1 --run-dir /sys/run", 78),
    ("train --max-steps 1 --run-dir @/full", 78),
    ("train --max-steps 1 --run-dir @/file/run --transport inproc", 78),
    ("coordinator --job @/good.yaml --listen tcp://127.0.0.1:0 --run-dir @/file/run", 78),
    ("coordinator --job @/good.yaml --listen tcp://127.0.0.1:0 --run-dir /proc/run", 78),
    // Job files.
    ("train --job @/none.yaml", 78),
    ("train --job @/empty", 78),
    ("train --job @/file/job.yaml", 78),
    ("train --job @/broken.yaml", 78),
    ("train --job @/list.yaml", 78),
    ("train --job @/unknown.yaml", 78),
    ("train --job @/text.yaml", 78),
    ("train --job @/bytes.yaml", 78),
    ("coordinator --job @/empty --listen tcp://127.0.0.1:0", 78),
    // Resuming and evaluating what is no run.
    ("train --resume @/none", 65),
    ("train --resume @/file", 65),
    ("train --resume @/empty", 65),
    ("evaluate --data fashion-mnist --checkpoint @/none", 65),
    ("evaluate --data fashion-mnist --checkpoint @/file", 65),
    ("evaluate --data fashion-mnist --checkpoint @/empty", 65),
    ("evaluate --data fashion-mnist --checkpoint @/model.safetensors", 65),
    ("checkpoints list @/none", 65),
    ("checkpoints verify @/file", 65),
    // Data.
    ("train --data-dir @/none --run-dir @/run", 65),
    ("train --data-dir @/file --run-dir @/run", 65),
    ("train --data-dir @/data --run-dir @/run", 65),
    // Keys, tokens, hosts.
    ("keys @/full", 78),
    ("keys @/file", 78),
    ("keys @/file/keys", 78),
    ("keys /proc/keys", 78),
    ("coordinator --job @/good.yaml --listen tcp://127.0.0.1:0 --run-dir @/run --keys @/none", 78),
    ("coordinator --job @/good.yaml --listen tcp://127.0.0.1:0 --run-dir @/run --keys @/empty", 78),
    ("worker --coordinator tcp://127.0.0.1:1 --token-file @/none", 78),
    ("worker --coordinator tcp://127.0.0.1:1 --token-file @/empty", 78),
    ("server --coordinator nowhere", 64),
    ("train --hosts @/none --run-dir @/run", 78),
    ("train --hosts @/empty --run-dir @/run", 78),
    ("train --hosts @/hosts --run-dir @/run", 78),
    ("status @/none", 64),
    ("status @/empty", 75),
    // Simulations.
    ("simulate --replay @/none", 65),
    ("simulate --replay @/empty", 65),
    ("simulate --replay @/broken.json", 65),
    ("simulate --replay @/other.json", 65),
    // Other programs.
    ("benchmark engine --torch @/none", 78),
    ("benchmark engine --torch @/empty", 78),
    ("benchmark engine --torch @/file", 78),
  ]

  /// What no person should have to read.
  private static var inward: [Regex<Substring>] {
    [
      #/error \d/#, #/Domain/#, #/The operation/#, #/Optional\(/#, #/Fatal/#, #/NS[A-Z]/#, #/Cocoa/#, #/POSIXError/#,
      #/UserInfo/#, #/[A-Z][A-Za-z]+\.[A-Z][A-Za-z]+/#, #/[a-z]\([a-z][A-Za-z]*: /#, #/DecodingError/#, #/\.swift/#,
      #/^Error: /#,
    ]
  }

  @Test(
    "Each of many failures is one line in words, with the file it is about and the right exit code", arguments: failing)
  func words(command: String, code: Int32) throws {
    let place = try Place()
    let words = command.split(separator: " ").map { String($0).replacing("@", with: place.path) }
    let outcome = try Convoy.run(words, environment: ["XDG_RUNTIME_DIR": place.path])
    #expect(outcome.exitCode == code, "\(outcome.errors)")
    #expect(outcome.output.isEmpty, "\(outcome.output)")
    // A member's line is a line of its log; wrong flags are told by the parser, with the usage.
    let line = try #require(outcome.errors.split(separator: "\n").last, "nothing is said")
    for pattern in Self.inward {
      #expect(line.replacing(place.path, with: "").firstMatch(of: pattern) == nil, "\(line)")
    }
    let named = command.split(separator: " ").map(String.init).first {
      ($0.contains("@") || $0.hasPrefix("/")) && $0 != "@/good.yaml" && !(command.contains("--keys") && $0 == "@/run")
    }
    if let named { #expect(line.contains(named.replacing("@", with: place.path)), "\(line)") }
    #expect(!FileManager.default.fileExists(atPath: "\(place.path)/run"))
  }

  @Test("A variable that is no setting is refused, with the nearest name; what scripts and tests set is not")
  func environment() throws {
    let folder = TemporaryFolder()
    let train = ["train", "--max-steps", "1", "--data-dir", "\(folder.path)/none"]
    let misspelt = try Convoy.run(train, environment: ["CONVOY_LEARNING_RAT": "0.1"])
    #expect(misspelt.exitCode == 78)
    #expect(misspelt.errors.contains("CONVOY_LEARNING_RAT is no setting: did you mean CONVOY_LEARNING_RATE?"))
    let other = try Convoy.run(
      ["worker", "--coordinator", "tcp://127.0.0.1:1"], environment: ["CONVOY_COLOUR_OF_THE_SKY": "blue"])
    #expect(other.exitCode == 78 && other.errors.contains("CONVOY_COLOUR_OF_THE_SKY is no setting: "))
    let known = try Convoy.run(
      train, environment: ["CONVOY_SEED": "3", "CONVOY_TEST_STEPS": "9", "CONVOY_PROGRAM": "convoy"])
    #expect(known.exitCode == 65, "\(known.errors)")
  }
}
