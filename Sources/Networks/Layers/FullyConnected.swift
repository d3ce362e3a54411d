/// Every output a weighted sum of every input, with weights `[out, in]`. A spatial input is flattened.
public struct FullyConnected: Hashable, Sendable, LayerConvertible {
  /// Its name.
  public var name: String
  /// Outputs.
  public var outputs: Int
  /// Whether a value is added to each output.
  public var hasBias: Bool
  /// The weights' first values.
  public var weights: Initializer
  /// The bias's first values.
  public var bias: Initializer
  private var input: String?

  /// A fully connected layer.
  public init(
    _ name: String, _ outputs: Int, bias hasBias: Bool = true, weights: Initializer = .xavier(.uniform),
    biases: Initializer = .constant(0), from input: String? = nil
  ) {
    self.name = name
    self.outputs = outputs
    self.hasBias = hasBias
    self.weights = weights
    bias = biases
    self.input = input
  }

  /// The layer that the line describes.
  public var layer: Layer { Layer(name: name, kind: .fullyConnected(self), input: input) }
}

/// A row of a table for each entry of the input, with weights `[entries, features]`.
///
/// The input is `[length]`, whole numbers from 0; the output is `[features, length]`, so that convolutions take it. An
/// entry that is not in the table, or no whole number, is an error of the step. Nothing flows back to the input.
public struct Embedding: Hashable, Sendable, LayerConvertible {
  /// Its name.
  public var name: String
  /// Rows of the table.
  public var entries: Int
  /// Length of a row.
  public var features: Int
  /// The table's first values.
  public var weights: Initializer
  private var input: String?

  /// An embedding; a normal distribution of deviation 1 begins it, as in PyTorch.
  public init(
    _ name: String, entries: Int, features: Int, weights: Initializer = .gaussian(deviation: 1),
    from input: String? = nil
  ) {
    self.name = name
    self.entries = entries
    self.features = features
    self.weights = weights
    self.input = input
  }

  /// The layer that the line describes.
  public var layer: Layer { Layer(name: name, kind: .embedding(self), input: input) }
}
